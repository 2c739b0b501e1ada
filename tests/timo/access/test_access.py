# SPDX-License-Identifier: GPL-3.0-or-later
"""Which files a restricted process may use, and where it writes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timo import access
from timo.access import Access
from timo.errors import AccessError
from timo.inference.targets import Targets
from timo.series import facts
from timo.training.checkpoint import Checkpoint

PARTS = st.lists(st.sampled_from(["a", "b", "..", "link", "new", "."]), max_size=5)


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """Two folders, and a link from the one into the other."""
    folder = tmp_path_factory.mktemp("tree")
    for name in ("open/a/b", "closed/a"):
        (folder / name).mkdir(parents=True)
    (folder / "open/link").symlink_to(folder / "closed")
    return folder


@given(PARTS)
def test_what_is_allowed_is_what_lies_there_once_links_are_followed(tree, parts):
    path = os.path.join(tree, "open", *parts)  # noqa: PTH118 - with its dots
    real = Path(os.path.realpath(path))
    assert Access.to([str(tree / "open")]).allows(path) == real.is_relative_to(tree / "open")


@given(st.lists(st.sampled_from(["/", "/a", "/a/b", "/a/bc", "/c"]), max_size=3), st.booleans())
def test_two_restrictions_together_allow_what_both_do(folders, everything):
    one = Access.to(None if everything else folders)
    other = Access.to(["/a", "/c/d"])
    both = one.within(other)
    for path in ("/", "/a", "/a/x", "/a/b/x", "/a/bc", "/c", "/c/d/x", "/e"):
        assert both.allows(path) == (one.allows(path) and other.allows(path))


def test_a_folder_whose_name_begins_alike_is_another():
    assert not Access.to(["/data"]).allows("/database/x")
    assert Access.to(["/"]).allows("/database/x")


def test_a_backend_s_own_files_are_closed_but_not_the_folders_for_jobs(tmp_path):
    home = tmp_path / "home"
    for name in ("logs", "models"):
        (home / name).mkdir(parents=True)
    allowed = Access.to(None, str(home))
    for name in (
        "",
        "jobs.sqlite",
        "connection.json",
        "logs",
        "logs/server.log",
        "models/../lock",
        "new",
        "m" * 300,
    ):
        assert not allowed.allows(home / name), name
    assert allowed.allows(home / "models" / "mine") and allowed.allows(tmp_path / "map.tif")


@pytest.mark.parametrize(
    "path",
    ["", "/vsicurl/http://x/y.tif", "/vsizip//a.zip/b", "/VSIMEM/x", "http://x/y", "WMS:http://x", "/a\0b",
     "NETCDF:/x.nc:b", r"\\?\C:\x", r"\\.\pipe\x", "vrt:///a.tif", "/a\udcff"],
)  # fmt: skip
def test_what_is_no_plain_path_is_refused_even_where_everything_is_allowed(path):
    with pytest.raises(AccessError) as caught:
        Access.to(None).demand(path)
    assert caught.value.code == "path_denied"
    str(caught.value).encode()


def test_a_process_that_nobody_restricted_may_use_everything(raster, tmp_path):
    access.present.cache_clear()
    assert access.present() is None
    with facts.open_raster(raster(tmp_path / "other/a.tif")) as file:
        assert file.read(1).all()


def test_a_link_in_the_place_of_a_temporary_file_leads_nowhere(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("keep")
    (tmp_path / ".map.partial.qml").symlink_to(secret)
    with Targets() as targets:
        targets.new(tmp_path / "map.qml").write_text("style")
    assert secret.read_text() == "keep" and (tmp_path / "map.qml").read_text() == "style"
    assert not (tmp_path / "map.qml").is_symlink()


def test_a_link_in_the_place_of_a_checkpoint_leads_nowhere(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("keep")
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "checkpoint.partial").symlink_to(secret)
    checkpoint = Checkpoint(tmp_path / "state", "key")
    checkpoint.save({"step": 1})
    assert secret.read_text() == "keep" and checkpoint.load()[0] == {"step": 1}


def test_blocks_are_not_written_through_links(tmp_path, restrict):
    (tmp_path / "in/map.tif.partial").mkdir(parents=True)
    (tmp_path / "out").mkdir()
    (tmp_path / "in/map.tif.partial/blocks").symlink_to(tmp_path / "out")
    access.demand_links(tmp_path / "in/map.tif.partial")  # nobody is restricted
    restrict(tmp_path / "in")
    with pytest.raises(AccessError):
        access.demand_links(tmp_path / "in/map.tif.partial")


def test_gdal_has_no_other_formats_where_folders_are_named(tmp_path):
    program = (
        "from timo.series import readable; readable.narrow(); import pyogrio, rasterio\n"
        "with rasterio.Env() as env: found = {*env.drivers(), *pyogrio.list_drivers()}\n"
        "assert found - {'DERIVED'} <= readable.FORMATS, found - readable.FORMATS\n"
        "assert {'GTiff', 'COG', 'VRT', 'GPKG'} <= found"
    )
    environment = {**os.environ, access.VARIABLE: Access.to([str(tmp_path)]).to_text()}
    subprocess.run([sys.executable, "-c", program], env=environment, check=True)
