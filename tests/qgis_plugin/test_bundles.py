# SPDX-License-Identifier: GPL-3.0-or-later
"""Models travel as a zip, and a zip that means harm leaves nothing behind."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import zipfile

import pytest

CARD = {
    "format": 1,
    "task": "segmentation",
    "name": "woods 2020",
    "architecture": {"name": "timo_tiny"},
    "classes": [{"value": 3, "name": "oak", "color": "#228844"}],
    "bands": [{"key": "blue", "name": "B2", "role": "blue"}],
    "weights_sha256": hashlib.sha256(b"weights").hexdigest(),
}


@pytest.fixture
def bundles(package):
    from timo_qgis import bundles

    return bundles


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "models" / "woods"
    (folder / "report").mkdir(parents=True)
    (folder / "model.json").write_text(json.dumps(CARD), encoding="utf-8")
    (folder / "weights.safetensors").write_bytes(b"weights")
    (folder / "report" / "index.html").write_text("<p>fine</p>", encoding="utf-8")
    return folder


@pytest.fixture
def pack(tmp_path):
    def pack(files, name="model.zip"):
        path = tmp_path / name
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
            for entry, data in files.items():
                packed.writestr(entry, data)
        return path

    return pack


def whole(**more):
    return {"model.json": json.dumps(CARD), "weights.safetensors": b"weights", **more}


def test_model_that_was_exported_is_the_same_when_it_is_imported(bundles, folder, tmp_path):
    from timo_qgis.models import read_model

    target = tmp_path / "woods.zip"
    bundles.export_zip(read_model(folder), target)
    made = bundles.import_zip(target, tmp_path / "models")
    assert made.name == "woods-2020"
    for path in folder.glob("*.*"):
        assert (made / path.relative_to(folder)).read_bytes() == path.read_bytes()
    assert bundles.import_zip(target, tmp_path / "models").name == "woods-2020-2"
    assert not list(tmp_path.rglob("*.part"))


def test_pages_of_a_stranger_which_may_run_scripts_stay_in_the_zip(bundles, pack, tmp_path):
    files = whole(**{"report.html": "<script>x</script>", "more/curve.SVG": "<svg/>", "notes.txt": "x"})
    made = bundles.import_zip(pack(files), tmp_path / "models")
    names = sorted(path.name for path in made.rglob("*") if path.is_file())
    assert names == ["model.json", "notes.txt", "weights.safetensors"]


def test_zip_of_the_folder_itself_is_taken_too(bundles, pack, tmp_path):
    made = bundles.import_zip(
        pack({f"woods/{name}": data for name, data in whole().items()}), tmp_path / "models"
    )
    assert (made / "weights.safetensors").read_bytes() == b"weights"


@pytest.mark.parametrize(
    ("files", "word"),
    [
        (whole(**{"../evil.txt": "x"}), "outside"),
        (whole(**{"/etc/evil.txt": "x"}), "outside"),
        (whole(**{"a\\..\\..\\evil.txt": "x"}), "outside"),
        (whole(**{"C:evil.txt": "x"}), "outside"),
        (whole(**{"run.py": "x"}), "run.py"),
        (whole(**{"weights.pth": "x"}), "weights.pth"),
        (whole(**{"zeros.txt": b"0" * 30_000_000}), "too large"),
        ({"weights.safetensors": b"weights"}, "model.json"),
        ({"model.json": "{}", "weights.safetensors": b"weights"}, "task"),
        ({**whole(), "weights.safetensors": b"other"}, "damaged"),
    ],
)
def test_zip_that_is_no_safe_model_is_refused_in_a_sentence(bundles, pack, tmp_path, files, word):
    with pytest.raises(bundles.BundleTrouble, match=word):
        bundles.import_zip(pack(files), tmp_path / "models")
    assert [path.name for path in tmp_path.iterdir() if path.name not in ("home", "models")] == ["model.zip"]
    assert not (tmp_path / "models").exists() or not list((tmp_path / "models").iterdir())


def test_links_in_a_zip_are_refused(bundles, pack, tmp_path):
    path = pack(whole())
    with zipfile.ZipFile(path, "a") as packed:
        link = zipfile.ZipInfo("report.html")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        packed.writestr(link, "/etc/passwd")
    with pytest.raises(bundles.BundleTrouble, match="outside"):
        bundles.import_zip(path, tmp_path / "models")


def test_file_that_is_no_zip_is_named(bundles, tmp_path):
    path = tmp_path / "notes.zip"
    path.write_bytes(b"not a zip")
    with pytest.raises(bundles.BundleTrouble, match=r"notes\.zip"):
        bundles.import_zip(path, tmp_path / "models")


def test_renamed_model_has_the_name_everywhere(bundles, folder):
    from timo_qgis.models import read_model

    moved = bundles.rename(read_model(folder), "Oak & birch")
    assert moved.name == "Oak-birch" and not folder.exists()
    assert read_model(moved).name == "Oak & birch"


def test_name_of_another_model_is_not_taken(bundles, folder):
    from timo_qgis.models import read_model

    (folder.parent / "taken").mkdir()
    with pytest.raises(bundles.BundleTrouble, match="taken"):
        bundles.rename(read_model(folder), "taken")
    assert read_model(folder).name == "woods 2020"


def test_damaged_stream_is_said_in_a_sentence(bundles, pack, tmp_path):
    path = pack(whole(**{"notes.txt": bytes(range(256)) * 64}))
    with zipfile.ZipFile(path) as packed:
        info = packed.getinfo("notes.txt")
    data = bytearray(path.read_bytes())
    start = info.header_offset + 30 + len("notes.txt")
    data[start : start + 8] = b"\xff" * 8  # no deflate block begins so
    path.write_bytes(data)
    with pytest.raises(bundles.BundleTrouble, match=r"model\.zip"):
        bundles.import_zip(path, tmp_path / "models")


def test_file_older_than_zips_is_packed(bundles, folder, tmp_path):
    from timo_qgis.models import read_model

    os.utime(folder / "model.json", (0, 0))
    bundles.export_zip(read_model(folder), tmp_path / "woods.zip")
    assert (tmp_path / "woods.zip").exists()


def test_pretrained_model_travels_too(bundles, folder, tmp_path):
    from timo_qgis.models import read_model

    card = {**CARD, "task": "pretraining", "classes": []}
    (folder / "model.json").write_text(json.dumps(card), encoding="utf-8")
    bundles.export_zip(read_model(folder), tmp_path / "woods.zip")
    made = read_model(bundles.import_zip(tmp_path / "woods.zip", tmp_path / "models"))
    assert made.pretrained and made.name == "woods 2020"
