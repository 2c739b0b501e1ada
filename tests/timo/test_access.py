# SPDX-License-Identifier: GPL-3.0-or-later
"""Which files a restricted process may use, and what a virtual raster may be made of."""

import os
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from hypothesis import given
from hypothesis import strategies as st
from rasterio.transform import from_origin

from timo import access
from timo.access import Access
from timo.errors import AccessError
from timo.inference.targets import Targets
from timo.series import facts, label_vectors, virtual
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


def edited(path, old, new, encoding="utf-8"):
    """A file with one of its texts in another spelling."""
    path.write_text(path.read_text().replace(old, new), encoding=encoding)
    return path


WAYS = {
    "absolute": lambda own, other: vrt(own / "x.vrt", other),
    "relative": lambda own, other: vrt(own / "x.vrt", "../out/b.tif", relative=1),
    "by a link": lambda own, other: vrt(own / "x.vrt", "link.tif", relative=1),
    "by a link whose name ends in a space": lambda own, other: vrt(own / "x.vrt", "link ", relative=1),
    "nested": lambda own, other: vrt(own / "x.vrt", vrt(own / "inner.vrt", other)),
    "nested, in small letters": lambda own, other: edited(
        vrt(own / "x.vrt", vrt(own / "inner.vrt", other)), "SourceFilename", "sourcefilename"
    ),
    "nested, as text": lambda own, other: vrt(
        own / "x.vrt", vrt(own / "inner.vrt", other).read_text().replace("<", "&lt;")
    ),
    "another way to say relative": lambda own, other: vrt(own / "x.vrt", "b.tif", relative="01"),
    "another encoding": lambda own, other: edited(
        vrt(own / "x.vrt", "é.tif"), "<VRTD", '<?xml version="1.0" encoding="latin-1"?><VRTD', "latin-1"
    ),
    "entities": lambda own, other: edited(
        vrt(own / "x.vrt", "x"), "<VRTD", f'<!DOCTYPE x [<!ENTITY y "{other}">]><VRTD'
    ),
    "a subdataset": lambda own, other: vrt(own / "x.vrt", f'NETCDF:"{other}":x'),
    "its location": lambda own, other: vrt(
        own / "x.vrt", "x", f'<Metadata><MDI key="X_DATASET">{other}</MDI></Metadata>'
    ),
    "its terrain": lambda own, other: vrt(own / "x.vrt", "x", f"<RPC><DEMPath>{other}</DEMPath></RPC>"),
    "an attribute": lambda own, other: vrt(own / "x.vrt", "x", f'<Overview of="{other}"/>'),
    "of a raster by name": lambda own, other: vrt(own / "x.tif", other),
    "a part of another format": lambda own, other: vrt(own / "x.vrt", isis(own / "y.lbl", other)),
    "a link beside a part": lambda own, other: vrt(own / "x.vrt", own / "good.tif"),
}


def isis(path, pixels):
    """A label of ISIS, a format that names the file of its pixels."""
    path.write_text(
        f'Object = IsisCube\n Object = Core\n  ^Core = "{pixels}"\n End_Object\nEnd_Object\nEnd\n'
    )
    return path


@pytest.mark.parametrize("way", WAYS)
def test_a_virtual_raster_is_not_opened_where_any_part_lies_outside(way, raster, tmp_path, restrict):
    inside, outside = tmp_path / "in", raster(tmp_path / "out/b.tif")
    raster(inside / "good.tif")
    for link in ("link.tif", "link ", "é.tif", "good.tif.OVR"):
        (inside / link).symlink_to(outside)
    path = WAYS[way](inside, outside)
    restrict(inside)
    with pytest.raises(AccessError) as caught:
        facts.open_raster(path)
    assert caught.value.code == "path_denied"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("x.tif.aux.xml", '<PAMDataset><MDI key="OVERVIEW_FILE">{outside}</MDI></PAMDataset>'),
        ("x.tif.aux.xml", "<PAMDataset><MDI>:::BASE:::../out/b.tif</MDI></PAMDataset>"),
        ("X.AUX.XML", "<PAMDataset><MDI>/vsicurl/http://127.0.0.1:9/x.tif</MDI></PAMDataset>"),
        ("x.tif.ovr", '<VRTDataset rasterXSize="2" rasterYSize="2"><A>{outside}</A></VRTDataset>'),
        ("x.tif.msk", "EHFA_HEADER_TAG"),
        ("x.aux", "EHFA_HEADER_TAG"),
    ],
)  # fmt: skip
def test_a_raster_is_not_opened_where_what_belongs_to_it_lies_outside(name, text, raster, tmp_path, restrict):
    outside = raster(tmp_path / "out/b.tif")
    path = raster(tmp_path / "in/x.tif")
    (tmp_path / "in" / name).write_text(text.format(outside=outside))
    restrict(tmp_path / "in")
    for each in (path, vrt(tmp_path / "in/of.vrt", path)):
        with pytest.raises(AccessError):
            facts.open_raster(each)


def test_a_raster_whose_own_metadata_name_its_overviews_is_not_read(raster, tmp_path, restrict):
    path = raster(tmp_path / "in/x.tif")
    with rasterio.open(path, "r+") as file:
        file.update_tags(ns="OVERVIEWS", OVERVIEW_FILE=str(tmp_path / "out.tif"))
    restrict(tmp_path / "in")
    for each in (path, vrt(tmp_path / "in/of.vrt", path)):
        with pytest.raises(AccessError, match="overviews"):
            facts.open_raster(each)


def test_a_netcdf_that_may_be_made_of_other_files_is_not_read_where_folders_are_named(tmp_path, restrict):
    (tmp_path / "x.nc").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    restrict(tmp_path)
    with pytest.raises(AccessError, match="may refer to files outside"):
        facts.open_raster(tmp_path / "x.nc")


def test_what_gdal_passes_over_refuses_no_raster_where_everything_is_allowed(raster, tmp_path, restrict):
    path = raster(tmp_path / "x.tif")
    side = path.with_name("x.tif.aux.xml")
    loop = vrt(tmp_path / "loop.vrt", tmp_path / "loop.vrt")
    many = vrt(
        tmp_path / "many.vrt", "SENTINEL2_L2A:/d/S2.zip:10m:EPSG_32633", "<A>..</A><B>.</B><C>/tmp</C>"
    )
    restrict(None)
    for text in ("", "<broken", "<PAMDataset><MDI>..</MDI></PAMDataset>"):
        side.write_text(text)
        with facts.open_raster(path) as file:
            assert file.read(1).all()
    for each in (loop, many):
        virtual.demand(each)


def test_a_large_mosaic_is_looked_at_once(raster, tmp_path, restrict):
    source = raster(tmp_path / "a.tif")
    inner = vrt(tmp_path / "0.vrt", source)
    for level in range(1, 7):
        inner = vrt(tmp_path / f"{level}.vrt", inner)
        text = inner.read_text()
        part = text[text.index("<SimpleSource>") : text.index("</VRTRasterBand>")]
        inner.write_text(text.replace(part, part * 30))
    restrict(tmp_path)
    virtual.demand(inner)  # 30 to the power of 6 ways lead to the source


# features ----------------------------------------


@pytest.fixture
def polygons():
    def make(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        box = np.array([shapely.to_wkb(shapely.box(0, 0, 30, 30))], object)
        pyogrio.raw.write(
            path, box, [np.array(["a"], object)], ["kind"], geometry_type="Polygon", crs="EPSG:32633"
        )
        return path

    return make


@pytest.mark.parametrize("suffix", [".gpkg", ".geojson", ".shp", ".fgb"])
def test_features_in_allowed_folders_are_read_and_others_are_not(suffix, polygons, tmp_path, restrict):
    inside, outside = polygons(tmp_path / f"in/a{suffix}"), polygons(tmp_path / f"out/b{suffix}")
    restrict(tmp_path / "in")
    assert label_vectors.is_vector(inside)
    assert list(label_vectors.read_column(inside, "kind")) == ["a"]
    for read in (label_vectors.is_vector, lambda path: label_vectors.read_column(path, "kind")):
        with pytest.raises(AccessError):
            read(outside)


def test_features_of_a_format_that_names_files_or_with_links_are_not_read(polygons, tmp_path, restrict):
    outside, inside = polygons(tmp_path / "out/b.shp"), polygons(tmp_path / "in/a.shp")
    table = tmp_path / "in/t.tab"
    table.write_text('!table\n!version 300\nOpen Table "../out/t.tab"')
    inside.with_suffix(".dbf").unlink()
    (tmp_path / "in/A.DBF").symlink_to(outside.with_suffix(".dbf"))
    restrict(tmp_path / "in")
    assert not label_vectors.is_vector(table)
    for path in (inside, table):
        with pytest.raises(AccessError):
            label_vectors.read_column(path, "kind")


# what is written ----------------------------------------


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
    with pytest.raises(AccessError, match="may refer to files outside"):
        facts.open_raster(tmp_path / "x.tif")
