# SPDX-License-Identifier: GPL-3.0-or-later
"""Dates that files tell beside their names: in their metadata, and many dates in the bands of one file."""

from __future__ import annotations

import csv
import datetime as dt
import json
import os
import subprocess
import threading
from pathlib import Path

import numpy as np
import pytest
from osgeo import gdal, osr
from qgis.core import QgsProject, QgsRasterLayer
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import QLabel, QPushButton

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".venv" / ("Scripts" if os.name == "nt" else "bin") / "python"
DAYS = ("2020-04-01", "2020-06-15", "2020-08-30")
TAG = "ACQUISITIONDATETIME"


@pytest.fixture
def page(dock, shown):
    return dock.series


@pytest.fixture
def tag(write_raster):
    """Writes a raster with an entry in its metadata."""

    def write(name, value, key=TAG, domain="IMAGERY", **options):
        path = write_raster(name, **options)
        dataset = gdal.Open(str(path), gdal.GA_Update)
        dataset.SetMetadataItem(key, value, domain)
        dataset = None
        return path

    return write


@pytest.fixture
def stack(write_raster):
    """A raster of three dates with two bands each, whose pixels are the number of the band."""
    names = [f"{band}_{day}" for day in DAYS for band in ("B04", "B08")]
    values = np.stack([np.full((16, 16), number, np.uint16) for number in range(1, 7)])
    return write_raster("forest.tif", values=values, names=names)


def show(path, qtbot, page):
    layer = QgsRasterLayer(str(path), Path(str(path)).stem.replace('"', ""), "gdal")
    assert layer.isValid()
    QgsProject.instance().addMapLayer(layer)
    qtbot.waitUntil(lambda: any(row.layer_id == layer.id() for row in page.rows))
    return layer.id()


def row_of(page, layer_id):
    return next(row for row in page.rows if row.layer_id == layer_id)


def lines(page):
    with page.write().open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def split(page, qtbot):
    qtbot.waitUntil(lambda: "stacked" in [finding.kind for finding in page.problems.findings])
    button = page.findChild(QPushButton, "timoSeriesProblemsFix_stacked")
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def opened(path):
    """The dates and bands that the library finds in a series of the home, restricted as in a job."""
    if not PYTHON.exists():
        pytest.skip("the library is not installed beside the tests")
    program = (
        "import sys\nfrom timo.series.series import open_series\nseries = open_series(sys.argv[1])\n"
        "print(*series.dates, *(band.key for band in series.bands))"
    )
    command = [str(PYTHON), "-c", program, str(path)]
    access = json.dumps({"roots": None, "home": str(path.parents[1])})
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "TIMO_ACCESS": access},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()


@pytest.mark.parametrize(
    ("key", "domain", "value"),
    [(TAG, "IMAGERY", "2020-06-15T10:20:30Z"), ("DATE_ACQUIRED", "", "2020-06-15")],
)
def test_a_file_whose_name_tells_nothing_has_the_date_of_its_metadata(page, tag, qtbot, key, domain, value):
    ident = show(tag("field.tif", value, key, domain), qtbot, page)
    qtbot.waitUntil(lambda: row_of(page, ident).date == dt.date(2020, 6, 15))
    page.model.tick_layers([ident], True)
    assert row_of(page, ident).problem == "" and row_of(page, ident).note == ""
    assert [line["date"] for line in lines(page)] == ["2020-06-15"]


def test_metadata_count_more_than_the_name_and_that_is_said(page, tag, qtbot):
    ident = show(tag("S2_20200701.tif", "2020-06-15T10:20:30Z"), qtbot, page)
    qtbot.waitUntil(lambda: row_of(page, ident).date == dt.date(2020, 6, 15))
    note = row_of(page, ident).note
    assert "2020-07-01" in note and "2020-06-15" in note and TAG in note
    number = page.model.number_of(ident)
    date = page.model.index(number, 1)
    page.model.setData(date, "2020-07-02")
    assert row_of(page, ident).date == dt.date(2020, 7, 2) and row_of(page, ident).note == ""
    page.model.setData(page.model.index(page.model.number_of(ident), 1), "")
    assert row_of(page, ident).date == dt.date(2020, 6, 15)


def test_a_month_in_the_name_and_its_day_in_the_metadata_agree(page, tag, qtbot):
    ident = show(tag("S2_June_2020.tif", "2020-06-15T10:20:30Z"), qtbot, page)
    qtbot.waitUntil(lambda: row_of(page, ident).date == dt.date(2020, 6, 15))
    assert row_of(page, ident).note == ""


def test_files_and_folders_are_added_by_the_dates_of_their_metadata(page, tag, write_raster, qtbot, tmp_path):
    folder = tmp_path / "scenes"
    for number, day in enumerate(DAYS):
        tag(f"scene-{number}.tif", f"{day}T10:00:00Z", folder=folder)
    write_raster("terrain.tif", folder=folder)
    page.add.add_folder(folder)
    qtbot.waitUntil(lambda: page.date_count() == 3)
    assert sorted(row.name for row in page.rows) == ["scene-0", "scene-1", "scene-2"]
    page.add.add([tag("late.tif", "2020-10-01T10:00:00Z"), folder / "terrain.tif"])
    qtbot.waitUntil(lambda: page.date_count() == 4)
    assert [row.name for row in page.rows if not row.ticked] == ["terrain"]


def test_a_raster_of_several_dates_becomes_a_layer_for_each_by_a_click(page, stack, qtbot):
    ident = show(stack, qtbot, page)
    page.model.tick_layers([ident], True)
    qtbot.waitUntil(lambda: len(row_of(page, ident).steps) == 3)
    assert "3 dates" in row_of(page, ident).problem and page.why_not()
    split(page, qtbot)
    qtbot.waitUntil(lambda: page.date_count() == 3)
    assert not row_of(page, ident).ticked
    qtbot.waitUntil(lambda: page.why_not() == "")
    made = [row for row in page.rows if row.ticked]
    assert [row.bands for row in made] == [("b04", "b08")] * 3
    assert [row.roles for row in made] == [("red", "nir")] * 3
    for number, row in enumerate(made):
        pixels = gdal.Open(str(row.path)).ReadAsArray()
        assert [int(band.min()) for band in pixels] == [2 * number + 1, 2 * number + 2]
        assert int(pixels.max()) == 2 * number + 2
    assert opened(page.write()) == [*DAYS, "red", "nir"]


def test_a_part_of_a_netcdf_file_becomes_a_layer_for_each_of_its_times(page, tmp_path, qtbot):
    path = tmp_path / "green.nc"
    source = gdal.GetDriverByName("MEM").Create("", 8, 8, 3, gdal.GDT_Float32)
    source.SetGeoTransform((10, 0.1, 0, 50, 0, -0.1))
    reference = osr.SpatialReference()
    reference.ImportFromEPSG(4326)
    source.SetProjection(reference.ExportToWkt())
    source.SetMetadata(
        {
            "NETCDF_DIM_EXTRA": "{time}", "NETCDF_DIM_time_DEF": "{3,6}",
            "NETCDF_DIM_time_VALUES": "{0,75,151}",
            "time#units": "days since 2020-04-01", "time#axis": "T", "time#calendar": "standard",
        }
    )  # fmt: skip
    for number, days in enumerate((0, 75, 151), 1):
        band = source.GetRasterBand(number)
        band.WriteArray(np.linspace(number, number + 1, 64, dtype=np.float32).reshape(8, 8))
        band.SetMetadata({"NETCDF_DIM_time": str(days), "NETCDF_VARNAME": "ndvi"})
    source.SetMetadataItem("NC_GLOBAL#time_coverage_start", "2020-04-01T00:00:00Z")
    gdal.GetDriverByName("netCDF").CreateCopy(str(path), source)
    source = None
    ident = show(f'NETCDF:"{path}":ndvi', qtbot, page)
    page.model.tick_layers([ident], True)
    split(page, qtbot)
    qtbot.waitUntil(lambda: page.date_count() == 3)
    made = [row for row in page.rows if row.ticked]
    assert [row.bands for row in made] == [("ndvi",)] * 3
    first = [float(gdal.Open(str(row.path)).ReadAsArray()[0, 0]) for row in made]
    assert first == [1.0, 2.0, 3.0]
    assert opened(page.write()) == [*DAYS, "ndvi"]


@pytest.mark.parametrize("domain", ["", "IMAGERY"])
def test_the_day_of_a_whole_file_is_not_that_of_its_dates(page, stack, qtbot, domain):
    dataset = gdal.Open(str(stack), gdal.GA_Update)
    dataset.SetMetadataItem("DATE_ACQUIRED", "2020-04-01", domain)
    dataset.SetMetadataItem(TAG, "2020-04-01", domain)
    dataset = None
    page.model.tick_layers([show(stack, qtbot, page)], True)
    split(page, qtbot)
    qtbot.waitUntil(lambda: page.date_count() == 3 and page.why_not() == "")
    assert [str(date) for date in page.dates()] == list(DAYS)


def test_an_alpha_band_is_that_of_each_date(page, write_raster, qtbot):
    names = ("a_2020-04-01", "a_2020-06-15", "a_2020-08-30", "alpha")
    path = write_raster("forest.tif", np.full((4, 8, 8), 255, np.uint16), names)
    dataset = gdal.Open(str(path), gdal.GA_Update)
    dataset.GetRasterBand(4).SetColorInterpretation(gdal.GCI_AlphaBand)
    dataset = None
    page.model.tick_layers([show(path, qtbot, page)], True)
    split(page, qtbot)
    qtbot.waitUntil(lambda: page.date_count() == 3)
    for row in (row for row in page.rows if row.ticked):
        made = gdal.Open(str(row.path))
        assert made.RasterCount == 2
        assert made.GetRasterBand(2).GetColorInterpretation() == gdal.GCI_AlphaBand


def test_asked_again_the_layers_that_are_there_are_ticked_again(page, stack, qtbot):
    ident = show(stack, qtbot, page)
    page.model.tick_layers([ident], True)
    split(page, qtbot)
    qtbot.waitUntil(lambda: page.date_count() == 3)
    page.model.tick_layers([row.layer_id for row in page.rows], False)
    page.model.tick_layers([ident], True)
    split(page, qtbot)
    qtbot.waitUntil(lambda: page.date_count() == 3)
    assert len(page.rows) == 4 and page.add.isEnabled()


def test_dates_of_a_project_that_was_closed_do_not_come_into_the_next_one(page, stack, qtbot, monkeypatch):
    from timo_qgis.gui import series_split

    page.model.tick_layers([show(stack, qtbot, page)], True)
    begun, go, split_all = threading.Event(), threading.Event(), series_split._split

    def slow(*given):
        begun.set()
        go.wait(30)
        return split_all(*given)

    monkeypatch.setattr(series_split, "_split", slow)
    split(page, qtbot)
    qtbot.waitUntil(begun.is_set)
    QgsProject.instance().clear()
    go.set()
    qtbot.wait(300)
    assert not QgsProject.instance().mapLayers() and not QgsProject.instance().isDirty()
    assert page.add.isEnabled()


def test_a_raster_of_too_many_dates_is_told_so(page, write_raster, qtbot, iface, monkeypatch):
    from timo_qgis.gui import series_split

    monkeypatch.setattr(series_split, "MOST", 2)
    names = [f"a_{day}" for day in DAYS]
    page.model.tick_layers([show(write_raster("long.tif", names=names), qtbot, page)], True)
    split(page, qtbot)
    qtbot.waitUntil(lambda: iface.bar.currentItem() is not None)
    assert "long holds 3 dates, and no more than 2 become layers" in iface.bar.currentItem().text()
    assert len(page.rows) == 1


def test_no_job_begins_before_the_files_were_looked_into(page, tag, qtbot, monkeypatch):
    from timo_qgis.gui import series_dates

    go, read = threading.Event(), series_dates.read
    monkeypatch.setattr(series_dates, "read", lambda source: go.wait(30) and read(source))
    page.model.tick_layers([show(tag("S2_20200701.tif", "2020-06-15"), qtbot, page)], True)
    assert page.why_not() == "The dates of the series' files are being read."
    with qtbot.waitSignal(page.changed):
        go.set()
    qtbot.waitUntil(lambda: page.why_not() == "")
    assert [line["date"] for line in lines(page)] == ["2020-06-15"]


def test_a_look_that_finds_nothing_new_tells_no_page(page, tag, qtbot):
    page.model.tick_layers([show(tag("S2_20200615.tif", "2020-06-15"), qtbot, page)], True)
    qtbot.waitUntil(lambda: page.why_not() == "")
    with qtbot.assertNotEmitted(page.changed, wait=300):
        page.file_dates.look_again()
        qtbot.waitUntil(lambda: bool(page.file_dates._asked) and not page.file_dates._busy)


def test_dates_that_are_read_and_not_shown_yet_are_waited_for(page, tag, qtbot):
    ident = show(tag("S2_20200701.tif", "2020-06-15"), qtbot, page)
    page.model.tick_layers([ident], True)
    qtbot.waitUntil(lambda: page.why_not() == "")
    reader, source = page.file_dates, row_of(page, ident).source
    reader._found[source] = reader._known[source]
    assert page.why_not() == "The dates of the series' files are being read."


def test_a_file_that_was_replaced_is_looked_into_again_when_the_page_is_shown(page, dock, tag, qtbot):
    ident = show(tag("field.tif", "2020-06-15"), qtbot, page)
    qtbot.waitUntil(lambda: row_of(page, ident).date == dt.date(2020, 6, 15))
    tag("field.tif", "2021-07-16T00:00:00Z")
    dock.tabs.setCurrentWidget(dock.jobs)
    dock.setUserVisible(True)
    dock.tabs.setCurrentWidget(page)
    qtbot.waitUntil(lambda: row_of(page, ident).date == dt.date(2021, 7, 16))


def test_a_folder_s_date_is_no_name_that_the_metadata_contradict(page, tag, tmp_path, qtbot):
    path = tag("field.tif", "2020-06-15", folder=tmp_path / "delivery_20210105")
    ident = show(path, qtbot, page)
    qtbot.waitUntil(lambda: row_of(page, ident).date == dt.date(2020, 6, 15))
    assert row_of(page, ident).note == ""


def test_a_date_that_was_typed_makes_one_date_of_such_a_raster(page, stack, qtbot):
    ident = show(stack, qtbot, page)
    qtbot.waitUntil(lambda: len(row_of(page, ident).steps) == 3)
    page.model.setData(page.model.index(page.model.number_of(ident), 1), "2020-07-01")
    page.model.tick_layers([ident], True)
    assert row_of(page, ident).problem == "" and page.date_count() == 1


def test_a_home_that_cannot_be_written_to_is_said_and_nothing_is_changed(page, stack, qtbot, iface, dock):
    ident = show(stack, qtbot, page)
    page.model.tick_layers([ident], True)
    home = dock.shared.settings.home_folder
    home.mkdir(parents=True, exist_ok=True)
    (home / "dates").write_text("in the way", encoding="utf-8")
    split(page, qtbot)
    qtbot.waitUntil(lambda: iface.bar.currentItem() is not None)
    assert "dates" in iface.bar.currentItem().text()
    assert row_of(page, ident).ticked and page.add.isEnabled() and len(page.rows) == 1


def test_the_list_of_checks_says_it_in_one_sentence(page, stack, qtbot):
    ident = show(stack, qtbot, page)
    page.model.tick_layers([ident], True)
    qtbot.waitUntil(lambda: "stacked" in [finding.kind for finding in page.problems.findings])
    texts = [label.text() for label in page.problems.findChildren(QLabel)]
    assert any("forest holds several dates in its bands." in text for text in texts)
