# SPDX-License-Identifier: GPL-3.0-or-later
import json
from pathlib import Path

import pytest

from timo.errors import OutputError
from timo.report.folder import KIND, check_report, report_folder


def write(path, overwrite=False, text="new"):
    with report_folder(path, overwrite=overwrite) as folder:
        (folder / "index.html").write_text(text)
        (folder / "report.json").write_text(json.dumps({"kind": KIND}))
        (folder / "errors.tif").write_text(text)


def test_a_report_appears_whole_and_leaves_nothing_beside_it(tmp_path):
    write(tmp_path / "r")
    assert [path.name for path in tmp_path.iterdir()] == ["r"]
    assert (tmp_path / "r" / "index.html").read_text() == "new"


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_a_report_that_fails_half_way_leaves_nothing(tmp_path, error):
    with pytest.raises(error), report_folder(tmp_path / "r", overwrite=False) as folder:
        (folder / "index.html").touch()
        raise error
    assert list(tmp_path.iterdir()) == []


def test_a_report_is_replaced_only_when_that_is_allowed(tmp_path):
    write(tmp_path / "r", text="old")
    with pytest.raises(OutputError, match="exists already"):
        write(tmp_path / "r")
    assert (tmp_path / "r" / "index.html").read_text() == "old"
    (tmp_path / "r" / "errors.tif.aux.xml").touch()  # QGIS lays statistics beside a raster
    write(tmp_path / "r", overwrite=True)
    assert (tmp_path / "r" / "index.html").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["r"]


def test_a_failed_replacement_keeps_the_report_that_stood_there(tmp_path):
    write(tmp_path / "r", text="old")
    with pytest.raises(ValueError, match="no"), report_folder(tmp_path / "r", overwrite=True):
        raise ValueError("no")
    assert (tmp_path / "r" / "index.html").read_text() == "old"


def test_a_disk_that_refuses_the_last_step_keeps_the_report_that_stood_there(tmp_path, monkeypatch):
    write(tmp_path / "r", text="old")
    rename = Path.rename

    def refuse(self, target):
        if self.name == "r.partial":
            raise OSError(28, "No space left on device")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(OutputError, match="No space left"):
        write(tmp_path / "r", overwrite=True)
    assert (tmp_path / "r" / "index.html").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["r"]


@pytest.mark.parametrize("name", ["notes.txt", "errors-notes.tif", "photos/cat.jpg"])
def test_a_folder_with_other_things_is_never_replaced(tmp_path, name):
    write(tmp_path / "r")
    mine = tmp_path / "r" / name
    mine.parent.mkdir(exist_ok=True)
    mine.write_text("mine")
    with pytest.raises(OutputError, match=name.split("/")[0]) as caught:
        write(tmp_path / "r", overwrite=True)
    assert caught.value.code == "output_not_report"
    assert mine.read_text() == "mine"


def test_a_page_of_another_program_is_never_replaced(tmp_path):
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "index.html").write_text("mine")
    with pytest.raises(OutputError, match="site"):
        write(tmp_path / "site", overwrite=True)
    assert (tmp_path / "site" / "index.html").read_text() == "mine"


def test_what_a_killed_run_left_is_cleared_away_but_nothing_else(tmp_path):
    partial = tmp_path / "r.partial"
    partial.mkdir()
    (partial / ".errors.tif.partial").touch()
    write(tmp_path / "r")
    partial.mkdir()
    (partial / "mine.txt").touch()
    with pytest.raises(OutputError, match=r"mine\.txt"):
        write(tmp_path / "r", overwrite=True)
    assert (partial / "mine.txt").exists()


def test_a_file_or_a_missing_folder_is_told_at_once(tmp_path):
    (tmp_path / "notes").touch()
    with pytest.raises(OutputError, match="is a file"):
        check_report(tmp_path / "notes", overwrite=True)
    with pytest.raises(OutputError, match="nowhere"):
        check_report(tmp_path / "nowhere" / "r", overwrite=False)
