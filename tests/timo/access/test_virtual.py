# SPDX-License-Identifier: GPL-3.0-or-later
"""What a raster in a restricted process may be made of, and what may lie beside it."""

import pytest
import rasterio

from timo.errors import AccessError
from timo.series import facts, virtual


def vrt(path, source, more="", band="", relative=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f'<VRTDataset rasterXSize="4" rasterYSize="4">{more}<VRTRasterBand dataType="Byte" band="1"{band}>'
        f'<SimpleSource><SourceFilename relativeToVRT="{relative}">{source}</SourceFilename>'
        "<SourceBand>1</SourceBand></SimpleSource></VRTRasterBand></VRTDataset>"
    )
    return path


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
    raster(tmp_path / "in/tiles/a.tif")
    inner = vrt(tmp_path / "in/inner.vrt", "tiles/a.tif", relative=1)
    outer = vrt(tmp_path / "in/outer.vrt", inner, "<SRS>EPSG:32633</SRS><!-- made by a program -->")
    restrict(tmp_path / "in")
    with facts.open_raster(outer) as file:
        assert file.read(1).all()


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
    "a folder": lambda own, other: vrt(own / "x.vrt", folder(own / "product")),
    "an attribute that is a part": lambda own, other: edited(
        vrt(own / "x.vrt", "good.tif", relative=1),
        "<SimpleSource>",
        f'<SimpleSource SourceFilename="{other}">',
    ),
    "a part of a namespace": lambda own, other: edited(
        vrt(own / "x.vrt", other), "<SourceFilename", '<SourceFilename xmlns="x"'
    ),
    "said twice": lambda own, other: edited(
        vrt(own / "x.vrt", "../out/b.tif"), 'relativeToVRT="0"', 'relativeToVRT="1" relativetovrt="0"'
    ),
    "behind junk": lambda own, other: edited(vrt(own / "x.vrt", other), "<VRTD", "junk <VRTD"),
    "of a link to a raster elsewhere": lambda own, other: linked(
        own / "x.vrt", vrt(own / "deep/y.vrt", "../../out/b.tif", relative=1)
    ),
    "beside a link to a part": lambda own, other: vrt(
        own / "x.vrt", linked(own / "l.tif", own / "good2.tif")
    ),
    "a link beside a part": lambda own, other: vrt(own / "x.vrt", own / "good.tif"),
}


def folder(path):
    path.mkdir()
    return path


def linked(path, target):
    path.symlink_to(target)
    return path


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
    raster(inside / "good2.tif")
    (inside / "l.tif.ovr").symlink_to(outside)
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
        ("x.tif.aux.xml", "<PAMDataset><MDI key='overview_file'>:::BASE:::../b.tif</MDI></PAMDataset>"),
        ("X.AUX.XML", "<PAMDataset><MDI>/vsicurl/http://127.0.0.1:9/x.tif</MDI></PAMDataset>"),
        ("x.tif.ovr", '<VRTDataset rasterXSize="2" rasterYSize="2"><A>{outside}</A></VRTDataset>'),
        ("x.tif.msk", "EHFA_HEADER_TAG"),
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
