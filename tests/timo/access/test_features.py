# SPDX-License-Identifier: GPL-3.0-or-later
"""Which files of features a process reads that is kept to folders."""

import sqlite3
from contextlib import closing

import pytest

from timo.errors import AccessError
from timo.series import label_vectors


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


def test_a_geopackage_with_tables_that_lie_elsewhere_is_not_read(polygons, tmp_path, restrict):
    path = polygons(tmp_path / "a.gpkg")
    restrict(tmp_path)
    assert list(label_vectors.read_column(path, "kind")) == ["a"]
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA writable_schema = ON")
        db.execute(
            "INSERT INTO sqlite_master (type, name, tbl_name, rootpage, sql) VALUES"
            " ('table', 'v', 'v', 0, 'CREATE VIRTUAL TABLE v USING VirtualOGR(''/etc/x'')')"
        )
        db.commit()
    with pytest.raises(AccessError, match="may refer to files outside"):
        label_vectors.read_column(path, "kind")
