# SPDX-License-Identifier: GPL-3.0-or-later
import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timo.series.dates import date_from_name, parse_date

DATES = st.dates(dt.date(1970, 1, 1), dt.date(2100, 12, 31))
WORDS = st.text("abcXYZ_-. ", max_size=8)


@given(DATES, WORDS, WORDS, st.sampled_from(["%Y-%m-%d", "%Y_%m_%d", "%Y.%m.%d", "%Y%m%d", "%Y%j"]))
def test_a_date_is_found_wherever_it_stands_in_a_name(date, before, after, form):
    found = date_from_name(before + date.strftime(form).zfill(4) + after)
    assert found is not None
    assert found.date == date
    assert found.problem is None


@given(st.text(max_size=40))
def test_any_name_gives_a_plausible_date_or_none(name):
    found = date_from_name(name)
    assert found is None or 1970 <= found.date.year <= 2100


@given(DATES, st.text("0123456789", min_size=1, max_size=4))
def test_digits_that_touch_a_date_make_it_another_number(date, digits):
    name = f"x{date:%Y-%m-%d}{digits}"
    assert date_from_name(name) is None or date_from_name(name).date.strftime("%Y-%m-%d") + digits not in name


@given(DATES, DATES)
def test_of_two_dates_the_first_is_taken_and_the_second_reported(one, other):
    name = f"stack_{one:%Y-%m-%d}_{other:%Y%m%d}.tif"
    found = date_from_name(name)
    assert found.date == one
    assert (found.problem is None) == (one == other)
    if found.problem:
        assert name in found.problem
        assert str(other) in found.problem


@pytest.mark.parametrize(
    ("name", "date"),
    [
        ("S2_20200801.tif", "2020-08-01"),
        ("2020-08-01.tif", "2020-08-01"),
        ("ndvi 2020_08_01 v2.tif", "2020-08-01"),
        ("20200801T103021_mosaic.tif", "2020-08-01"),
        ("20200801103021.tif", "2020-08-01"),
        ("img2020214.tif", "2020-08-01"),
        ("T33UUU_20170216T102101_B02.jp2", "2017-02-16"),
        ("S2A_MSIL2A_20200801T103031_N0214_R108_T31UFS_20200802T124501.tif", "2020-08-01"),
        ("S2A_OPER_PRD_MSIL1C_PDMC_20160229T201103_R051_V20160228T101052_20160228T101052.tif", "2016-02-28"),
        ("S1B_IW_GRDH_1SDV_20200801T054112_20200801T054137_022729_02B24F_1D1E.tif", "2020-08-01"),
        ("S1A_IW_SLC__1SDV_20200831T235950_20200901T000017_034148_03F6F1_A7F1.tif", "2020-08-31"),
        ("LC08_L2SP_182028_20200801_20210331_02_T1_SR_B4.TIF", "2020-08-01"),
        ("LE70350322008118EDC00_B3.tif", "2008-04-27"),
        ("MOD13Q1.A2013257.h12v10.006.2015261154521.tif", "2013-09-14"),
        ("HLS.S30.T33UUU.2020214T102031.v2.0.B04.tif", "2020-08-01"),
        ("1234567_20200801.tif", "2020-08-01"),
    ],
)
def test_names_as_they_come(name, date):
    found = date_from_name(name)
    assert str(found.date) == date
    assert found.problem is None


@pytest.mark.parametrize(
    "name",
    ["dem.tif", "labels.tif", "derived_loss_2018_2020.tif", "treecover2018_20m.tif", "20201301.tif",
     "2021-02-29.tif", "19691231.tif", "21010101.tif", "9999999.tif", "2021366.tif", "012345678901.tif"],
)  # fmt: skip
def test_numbers_that_are_no_dates_are_none(name):
    assert date_from_name(name) is None


@pytest.mark.parametrize(
    ("text", "date"),
    [
        (" 2020-08-01 ", dt.date(2020, 8, 1)),
        ("2020-08-01T10:30:21Z", dt.date(2020, 8, 1)),
        ("2020-08-01 10:30", dt.date(2020, 8, 1)),
        ("20200801", dt.date(2020, 8, 1)),
        ("2020214", dt.date(2020, 8, 1)),
        ("01.08.2020", None),
        ("2020-08", None),
        ("2020-08-01x", None),
        ("", None),
    ],
)
def test_dates_of_a_csv(text, date):
    assert parse_date(text) == date
