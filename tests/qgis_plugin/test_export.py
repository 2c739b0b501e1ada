# SPDX-License-Identifier: GPL-3.0-or-later
"""A map leaves TiMo clipped, in another CRS, or as polygons, with its colours, names and origin."""

from __future__ import annotations

import json

import numpy as np
import pytest
from osgeo import gdal, ogr, osr

CLASSES = {1: ("wood", (0, 100, 0)), 2: ("field & meadow", (200, 200, 0))}
TAGS = {"TIMO_MODEL": "woods", "TIMO_SPEC": "{}"}


def values():
    made = np.full((40, 60), 1)
    made[:, 30:] = 2
    made[10, 10] = 2  # a speck
    made[:, 55:] = 255
    return made


@pytest.fixture
def run(package, make_map, tmp_path):
    from timo_qgis.layers.export import Export, export
    from timo_qgis.layers.result_files import read_result

    source = make_map("map.tif", values(), CLASSES, TAGS)

    def run(name="out.tif", tick=lambda _share: True, **asked):
        result = read_result("map", source)
        return export(Export(source, tmp_path / name, classes=result.classes, **asked), tick)

    return run


@pytest.fixture
def area(tmp_path):
    """A square of 20 x 20 pixels, 5 from the left and the top, in degrees."""
    reference, degrees = osr.SpatialReference(), osr.SpatialReference()
    reference.ImportFromEPSG(32631)
    degrees.ImportFromEPSG(4326)
    for one in (reference, degrees):
        one.SetAxisMappingStrategy(osr.OAMS_TRADITIONAL_GIS_ORDER)
    square = ogr.CreateGeometryFromWkt(
        "POLYGON((500050 4999950,500250 4999950,500250 4999750,500050 4999750,500050 4999950))"
    )
    square.Transform(osr.CoordinateTransformation(reference, degrees))
    path = tmp_path / "area.geojson"
    geometry = json.loads(square.ExportToJson())
    feature = {"type": "Feature", "properties": {}, "geometry": geometry}
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    return path


def look(path):
    dataset = gdal.Open(str(path))
    dataset.GetMetadata()  # GDAL reads the names, which stand beside the file, not before this
    band = dataset.GetRasterBand(1)
    return dataset, band, band.GetColorTable(), band.GetCategoryNames()


@pytest.mark.parametrize("form", ["tif", "cog"])
def test_whole_map_keeps_values_colours_names_and_origin(run, form):
    dataset, band, table, names = look(run(form=form))
    assert (band.ReadAsArray() == values()).all()
    assert table.GetColorEntry(2)[:3] == (200, 200, 0)
    assert names[1:] == ["wood", "field & meadow"]
    assert dataset.GetMetadataItem("TIMO_MODEL") == "woods"
    assert band.GetNoDataValue() == 255
    layout = dataset.GetMetadataItem("LAYOUT", "IMAGE_STRUCTURE")
    assert layout == ("COG" if form == "cog" else None)


def test_clipped_map_holds_the_area_on_the_maps_own_pixels(run, area):
    dataset, band, table, names = look(run(cutline=area))
    left, width, _, _, _, height = dataset.GetGeoTransform()
    assert (width, height) == pytest.approx((10, -10))
    assert (left - 500000) / 10 == pytest.approx(round((left - 500000) / 10), abs=1e-6)
    cut = band.ReadAsArray()
    assert cut[cut.shape[0] // 2, cut.shape[1] // 2] == 1
    assert (cut == 2).sum() == 1  # the speck; the other class lies outside
    assert 380 <= (cut != 255).sum() <= 440
    assert table.GetColorEntry(1)[:3] == (0, 100, 0) and names[1] == "wood"


def test_map_in_another_crs_has_no_value_that_is_no_class(run):
    degrees = osr.SpatialReference()
    degrees.ImportFromEPSG(4326)
    dataset, band, table, names = look(run(crs=degrees.ExportToWkt()))
    assert dataset.GetSpatialRef().IsGeographic()
    assert set(np.unique(band.ReadAsArray())) == {1, 2, 255}
    assert names[2] == "field & meadow" and table.GetColorEntry(2)[:3] == (200, 200, 0)


@pytest.mark.parametrize("asked", [{}, {"code": 3857}])
def test_class_numbers_that_need_32_bits_keep_names_and_colours_and_are_never_mixed(package, tmp_path, asked):
    from timo_qgis.layers.export import Export, export
    from timo_qgis.layers.result_files import read_result

    classes = ((70000, "wood", "#006400"), (200000, "field", "#c8c800"))
    made = gdal.GetDriverByName("GTiff").Create(str(tmp_path / "map.tif"), 700, 700, 1, gdal.GDT_Int32)
    made.SetGeoTransform((500000, 10, 0, 5000000, 0, -10))
    reference = osr.SpatialReference()
    reference.ImportFromEPSG(32631)
    made.SetProjection(reference.ExportToWkt())
    band, table = made.GetRasterBand(1), gdal.RasterAttributeTable()
    usages = (gdal.GFU_MinMax, gdal.GFU_Name, gdal.GFU_Red, gdal.GFU_Green, gdal.GFU_Blue)
    for number, usage in enumerate(usages):
        table.CreateColumn(str(number), gdal.GFT_String if number == 1 else gdal.GFT_Integer, usage)
    for row, (value, name, color) in enumerate(classes):
        table.SetValueAsInt(row, 0, value)
        table.SetValueAsString(row, 1, name)
        for number, at in enumerate((1, 3, 5), 2):
            table.SetValueAsInt(row, number, int(color[at : at + 2], 16))
    band.SetDefaultRAT(table)
    band.SetNoDataValue(-1)
    band.WriteArray(np.where(np.arange(700) // 3 % 2, 70000, 200000)[None].repeat(700, 0).astype(np.int32))
    made = band = None
    result = read_result("map", tmp_path / "map.tif")
    assert result.classes == classes
    wkt = ""
    if asked:
        reference.ImportFromEPSG(asked["code"])
        wkt = reference.ExportToWkt()
    out = export(Export(result.path, tmp_path / "out.tif", "cog", result.classes, wkt, kind=result.kind))
    dataset, band, _, _ = look(out)
    for one in (band, band.GetOverview(0)):
        assert set(np.unique(one.ReadAsArray())) <= {70000, 200000, -1}
    assert dataset and read_result("map", out).classes == classes


def features(path):
    source = ogr.Open(str(path))
    layer = source.GetLayer(0)
    return sorted((f.GetField("class"), round(f.GetField("hectares"), 2)) for f in layer)


def test_polygons_have_class_and_hectares_and_leave_out_what_has_no_data(run):
    found = features(run("out.gpkg", form="gpkg"))
    assert found == [("field & meadow", 0.01), ("field & meadow", 10.01), ("wood", 12.0)]


def test_small_polygons_go_to_their_neighbour_where_asked_for(run):
    assert features(run("out.gpkg", form="gpkg", sieve=4)) == [("field & meadow", 10.01), ("wood", 12.01)]


@pytest.mark.parametrize("asked", [{}, {"form": "cog"}, {"form": "gpkg", "sieve": 4}])
def test_stopped_nothing_is_left_and_a_file_that_stood_there_stays(run, area, tmp_path, asked):
    from timo_qgis.layers.raster_blocks import StoppedError

    target = tmp_path / "kept.tif"
    target.write_text("the analyst's")
    for last in (0.0, 0.3, 0.7):
        with pytest.raises(StoppedError):
            run("kept.tif", tick=lambda share, last=last: share < last, cutline=area, **asked)
    assert target.read_text() == "the analyst's"
    assert [path.name for path in tmp_path.glob("kept*")] == ["kept.tif"]


def test_folder_that_is_not_there_is_named(run):
    from timo_qgis.layers.raster_blocks import RasterError

    with pytest.raises(RasterError, match="gone"):
        run("gone/out.tif")
    with pytest.raises(RasterError, match="gone"):
        run("gone/out.gpkg", form="gpkg")


def test_map_is_never_written_over_itself(run):
    from timo_qgis.layers.raster_blocks import RasterError

    with pytest.raises(RasterError, match="itself"):
        run("map.tif")


@pytest.mark.parametrize("code", [32631, 4326, 3857])
def test_area_that_is_larger_than_the_map_gives_a_map_of_its_own_size(run, tmp_path, code):
    utm, reference = osr.SpatialReference(), osr.SpatialReference()
    utm.ImportFromEPSG(32631)
    reference.ImportFromEPSG(code)
    for one in (utm, reference):
        one.SetAxisMappingStrategy(osr.OAMS_TRADITIONAL_GIS_ORDER)
    square = ogr.CreateGeometryFromWkt(
        "POLYGON((450000 5050000,550000 5050000,550000 4950000,450000 4950000,450000 5050000))"
    )
    square.Transform(osr.CoordinateTransformation(utm, reference))
    path = tmp_path / "large.gpkg"
    source = ogr.GetDriverByName("GPKG").CreateDataSource(str(path))
    layer = source.CreateLayer("area", reference, ogr.wkbPolygon)
    feature = ogr.Feature(layer.GetLayerDefn())
    feature.SetGeometry(square)
    layer.CreateFeature(feature)
    layer = source = None
    dataset, band, _, _ = look(run(cutline=path))
    assert (dataset.RasterXSize, dataset.RasterYSize) == (60, 40)
    assert (band.ReadAsArray() == values()).all()
    assert not list(tmp_path.glob("*.part*"))


def test_map_across_the_date_line_is_clipped_by_an_area_in_degrees(run, tmp_path):
    utm, degrees = osr.SpatialReference(), osr.SpatialReference()
    utm.ImportFromEPSG(32660)
    degrees.ImportFromEPSG(4326)
    for one in (utm, degrees):
        one.SetAxisMappingStrategy(osr.OAMS_TRADITIONAL_GIS_ORDER)
    x, y, _ = osr.CoordinateTransformation(degrees, utm).TransformPoint(180.0, 45.0)
    dataset = gdal.Open(str(tmp_path / "map.tif"), gdal.GA_Update)
    dataset.SetProjection(utm.ExportToWkt())
    dataset.SetGeoTransform((x - 300, 10, 0, y + 200, 0, -10))
    dataset = None
    ring = [[179.9, 44.9], [179.9, 45.1], [179.999, 45.1], [179.999, 44.9], [179.9, 44.9]]
    feature = {"type": "Feature", "properties": {}, "geometry": {"type": "Polygon", "coordinates": [ring]}}
    path = tmp_path / "west.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    _dataset, band, _, _ = look(run(cutline=path))
    assert set(np.unique(band.ReadAsArray())) == {1, 2, 255}


def test_area_beside_the_map_is_said(run, tmp_path):
    from timo_qgis.layers.raster_blocks import RasterError

    ring = [[100.0, 10.0], [100.1, 10.0], [100.1, 10.1], [100.0, 10.0]]
    feature = {"type": "Feature", "properties": {}, "geometry": {"type": "Polygon", "coordinates": [ring]}}
    path = tmp_path / "far.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    with pytest.raises(RasterError, match="area"):
        run(cutline=path)


def test_file_that_cannot_be_replaced_keeps_what_stands_beside_it(package, tmp_path):
    from timo_qgis.layers.raster_blocks import RasterError, whole

    (tmp_path / "a.tif").mkdir()  # cannot be replaced by a file
    beside = tmp_path / "a.tif.aux.xml"
    beside.write_text("names")
    with pytest.raises(RasterError, match="cannot be written"), whole(tmp_path / "a.tif") as part:
        part.write_text("new")
    assert beside.read_text() == "names"


@pytest.mark.parametrize("code", [3857, 4326])
def test_hectares_are_the_earths_in_any_crs(run, code):
    reference = osr.SpatialReference()
    reference.ImportFromEPSG(code)
    found = features(run("out.gpkg", form="gpkg", crs=reference.ExportToWkt()))
    assert found[-1][0] == "wood" and found[-1][1] == pytest.approx(12, rel=0.03)
