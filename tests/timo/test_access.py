# SPDX-License-Identifier: GPL-3.0-or-later
"""Which files a restricted process may use, and what a virtual raster may be made of."""

import os
from pathlib import Path

import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st
from rasterio.transform import from_origin

from timo import access
from timo.access import Access
from timo.errors import AccessError
from timo.series import facts, virtual

PARTS = st.lists(st.sampled_from(["a", "b", "..", "link", "new", "."]), max_size=5)


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """Two folders, and a link from the one into the other."""
    folder = tmp_path_factory.mktemp("tree")
    for name in ("open/a/b", "closed/a"):
        (folder / name).mkdir(parents=True)
    (folder / "open/link").symlink_to(folder / "closed")
    return folder


@pytest.fixture
def restrict(monkeypatch):
    """Restricts this process to a folder, as a backend does with its worker."""

    def to(folder, home=None):
        folders = None if folder is None else [str(folder)]
        monkeypatch.setenv(access.VARIABLE, Access.to(folders, home).to_text())
        access.present.cache_clear()

    yield to
    access.present.cache_clear()


@pytest.fixture
def raster():
    def make(path, driver="GTiff"):
        path.parent.mkdir(parents=True, exist_ok=True)
        profile = {"driver": driver, "width": 4, "height": 4, "count": 1, "dtype": "uint8"}
        with rasterio.open(
            path, "w", **profile, crs="EPSG:32633", transform=from_origin(0, 40, 10, 10)
        ) as file:
            file.write(np.ones((1, 4, 4), np.uint8))
        return path

    return make


def vrt(path, source, more="", band="", relative=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f'<VRTDataset rasterXSize="4" rasterYSize="4">{more}<VRTRasterBand dataType="Byte" band="1"{band}>'
        f'<SimpleSource><SourceFilename relativeToVRT="{relative}">{source}</SourceFilename>'
        "<SourceBand>1</SourceBand></SimpleSource></VRTRasterBand></VRTDataset>"
    )
    return path


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
    for name in ("", "jobs.sqlite", "connection.json", "logs", "logs/server.log", "models/../lock", "new"):
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
    with facts.open_raster(vrt(tmp_path / "x.vrt", raster(tmp_path / "other/a.tif"))) as file:
        assert file.read(1).all()


def test_a_raster_outside_or_a_link_to_one_is_not_opened(raster, tmp_path, restrict):
    inside, outside = raster(tmp_path / "in/a.tif"), raster(tmp_path / "out/b.tif")
    (tmp_path / "in/link.tif").symlink_to(outside)
    (tmp_path / "in/c.tif.ovr").symlink_to(outside)
    raster(tmp_path / "in/c.tif")
    restrict(tmp_path / "in")
    with facts.open_raster(inside) as file:
        assert file.read(1).all()
    for path in (outside, tmp_path / "in/link.tif", tmp_path / "in/../out/b.tif", tmp_path / "in/c.tif"):
        with pytest.raises(AccessError, match="outside the folders"):
            facts.open_raster(path)


def test_a_virtual_raster_of_what_may_be_used_is_opened(raster, tmp_path, restrict):
    source = raster(tmp_path / "in/tiles/a.tif")
    inner = vrt(tmp_path / "in/inner.vrt", "tiles/a.tif", relative=1)
    outer = vrt(tmp_path / "in/outer.vrt", inner, "<SRS>EPSG:32633</SRS><!-- made by a program -->")
    netcdf = vrt(tmp_path / "in/n.vrt", f'NETCDF:"{source}":band')
    restrict(tmp_path / "in")
    with facts.open_raster(outer) as file:
        assert file.read(1).all()
    virtual.demand(netcdf)


@pytest.mark.parametrize("everything", [False, True])
@pytest.mark.parametrize(
    "source",
    ["/vsicurl/http://127.0.0.1:9/x.tif", "http://127.0.0.1:9/x.tif", "/vsizip//in/a.zip/x.tif",
     "WMS:http://127.0.0.1:9/", "vrt:///etc/x?bands=1"],
)  # fmt: skip
def test_a_virtual_raster_of_what_lies_elsewhere_than_on_disk_is_not_opened(
    source, everything, tmp_path, restrict
):
    restrict(None if everything else tmp_path)
    with pytest.raises(AccessError, match=r"x\.vrt is not opened.*may not be used"):
        facts.open_raster(vrt(tmp_path / "x.vrt", source))


def test_a_virtual_raster_is_not_opened_where_any_part_lies_outside(raster, tmp_path, restrict):
    outside = raster(tmp_path / "out/b.tif")
    (tmp_path / "in").mkdir()
    (tmp_path / "in/link.tif").symlink_to(outside)
    inner = vrt(tmp_path / "in/inner.vrt", outside)
    text = f"<VRTDataset>{inner.read_text()}</VRTDataset>".replace("<", "&lt;")
    cases = {
        "absolute": vrt(tmp_path / "in/1.vrt", outside),
        "relative": vrt(tmp_path / "in/2.vrt", "../out/b.tif", relative=1),
        "link": vrt(tmp_path / "in/3.vrt", "link.tif", relative=1),
        "nested": vrt(tmp_path / "in/4.vrt", inner),
        "text": vrt(tmp_path / "in/5.vrt", text),
        "subdataset": vrt(tmp_path / "in/6.vrt", f'NETCDF:"{outside}":x'),
        "location": vrt(tmp_path / "in/7.vrt", "x", f'<Metadata><MDI key="X">{outside}</MDI></Metadata>'),
        "attribute": vrt(tmp_path / "in/8.vrt", "x", f'<Overview of="{outside}"/>'),
        "loop": vrt(tmp_path / "in/9.vrt", tmp_path / "in/9.vrt"),
        "entity": vrt(tmp_path / "in/10.vrt", "x"),
        "a raster by name": vrt(tmp_path / "in/11.tif", outside),
        "terrain": vrt(tmp_path / "in/12.vrt", "x", f"<RPC><DEMPath>{outside}</DEMPath></RPC>"),
    }  # fmt: skip
    cases["entity"].write_text('<!DOCTYPE x [<!ENTITY y "z">]>' + cases["entity"].read_text())
    side = raster(tmp_path / "in/side.tif")
    side.with_name("side.tif.aux.xml").write_text(
        f'<PAMDataset><Metadata><MDI key="OVERVIEW_FILE">{outside}</MDI></Metadata></PAMDataset>'
    )
    restrict(tmp_path / "in")
    for case, path in {**cases, "beside": side}.items():
        with pytest.raises(AccessError) as caught:
            facts.open_raster(path)
        assert caught.value.code == "path_denied", case


def test_pixels_are_never_computed_by_python(tmp_path, restrict):
    mark = tmp_path / "was here"
    code = f"import pathlib\ndef f(i, out, *a, **k):\n pathlib.Path({str(mark)!r}).touch()"
    more = f"<PixelFunctionType>f</PixelFunctionType><PixelFunctionLanguage>Python</PixelFunctionLanguage><PixelFunctionCode><![CDATA[{code}]]></PixelFunctionCode>"  # noqa: E501
    path = vrt(tmp_path / "x.vrt", "x", band=' subClass="VRTDerivedRasterBand"')
    path.write_text(path.read_text().replace("<SimpleSource>", more + "<SimpleSource>"))
    restrict(None)
    with pytest.raises(AccessError, match="computed by a program in Python"):
        facts.open_raster(path)
    assert not mark.exists()


def test_formats_that_name_files_are_not_read_in_a_restricted_process(tmp_path, restrict):
    (tmp_path / "x.tif").write_text(
        '<GDAL_WMS><Service name="TMS"><ServerUrl>http://127.0.0.1:9/</ServerUrl></Service></GDAL_WMS>'
    )
    restrict(tmp_path)
    with pytest.raises(rasterio.errors.RasterioIOError, match="not recognized"):
        facts.open_raster(tmp_path / "x.tif")
