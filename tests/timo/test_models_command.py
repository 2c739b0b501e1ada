# SPDX-License-Identifier: GPL-3.0-or-later
import functools
import json
import subprocess
import sys

import msgspec
import pytest

from timo.bundle import CARD, WEIGHTS, Architecture, BandCard, Card, ClassCard, DatesCard
from timo.cli import app
from timo.errors import BundleError
from timo.models import listing
from timo.models.registry import VARIANTS


@pytest.fixture(scope="module", autouse=True)
def variants_are_measured_once():
    """They are always the same, and counting their operations takes seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(listing, "variants", functools.cache(listing.variants))
        yield


def write_bundle(folder, **changes):
    card = Card(
        format=1, task="segmentation", name="woods [b] :tree:", crs="EPSG:32635", chip=64, nodata=255,
        architecture=Architecture(name="timo_tiny", in_chans=1, num_classes=2, head_channels=64, zoom=1),
        classes=[ClassCard(value=n, name=name, color="#000000") for n, name in ((1, "wood"), (2, "[/b]"))],
        bands=[
            BandCard(
                key="s2.red", name="B4", role="red", sensor="S2", scale=1, offset=0, nodata=0, mean=0, std=1
            )
        ],
        dates=DatesCard(count=12, first="2019-01-01", last="2019-12-01", minimum=1),
        ground_sample_distance=[10, 10], metrics={"overall_accuracy": 0.875, "mean_iou": 0.7},
        training={}, licence="", weights_sha256="",
    )  # fmt: skip
    folder.mkdir(parents=True)
    (folder / CARD).write_bytes(msgspec.json.encode(msgspec.structs.replace(card, **changes)))
    (folder / WEIGHTS).touch()
    return folder


def run(capsys, *arguments):
    app(["models", *map(str, arguments)], standalone_mode=False)
    return capsys.readouterr().out


def test_json_is_all_that_is_printed(tmp_path):
    write_bundle(tmp_path / "one")
    command = [sys.executable, "-m", "timo", "models", "--json", "--folder", str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    found = json.loads(ended.stdout)
    assert found.keys() == {"input", "variants", "bundles"}
    assert len(found["bundles"]) == 1


def test_every_variant_is_listed_with_its_size_for_the_input_that_is_stated(capsys, tmp_path):
    found = json.loads(run(capsys, "--json", "--folder", tmp_path))
    assert found["input"] == {
        "bands": 10, "dates": 12, "height": 224, "width": 224, "batch": 1, "classes": 6,
    }  # fmt: skip
    assert [variant["name"] for variant in found["variants"]] == list(VARIANTS)
    base = next(variant for variant in found["variants"] if variant["name"] == "timo_base")
    assert base["encoder_parameters"] / 1e6 == pytest.approx(90.2, abs=0.1)  # the paper's, at 3 bands
    assert base["head_channels"] == 256
    assert base["pretrained"] is None
    for smaller, larger in zip(found["variants"], found["variants"][1:]):
        for figure in ("encoder_parameters", "segmenter_parameters", "encoder_gflop", "segmenter_gflop"):
            assert smaller[figure] < larger[figure]
    for variant in found["variants"]:
        assert variant["encoder_gflop"] < variant["segmenter_gflop"]


def test_bundles_are_found_in_every_folder_and_where_a_folder_is_one(capsys, tmp_path):
    one, two = write_bundle(tmp_path / "here" / "one"), write_bundle(tmp_path / "there" / "two")
    write_bundle(tmp_path / "here" / "deep" / "down")
    arguments = ["--folder", tmp_path / "here", "--folder", two, "--folder", one]
    found = json.loads(run(capsys, "--json", *arguments))["bundles"]
    assert [bundle["path"] for bundle in found] == [str(one), str(two)]
    assert found[0] == {
        "name": "woods [b] :tree:",
        "path": str(one),
        "problem": None,
        "architecture": "timo_tiny",
        "head_channels": 64,
        "classes": ["wood", "[/b]"],
        "dates": {"count": 12, "minimum": 1, "first": "2019-01-01", "last": "2019-12-01"},
        "bands": ["red"],
        "accuracy": 0.875,
        "mean_iou": 0.7,
    }


def test_the_current_folder_is_looked_at_where_none_is_given(capsys, tmp_path, monkeypatch):
    write_bundle(tmp_path / "one")
    monkeypatch.chdir(tmp_path)
    assert [bundle["path"] for bundle in json.loads(run(capsys, "--json"))["bundles"]] == ["one"]


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (lambda folder: (folder / CARD).write_text("{"), CARD),
        (lambda folder: (folder / CARD).write_bytes(b"\xff\xfe"), CARD),
        (lambda folder: (folder / CARD).write_text("[" * 100_000), CARD),
        (lambda folder: (folder / WEIGHTS).unlink(), WEIGHTS),
    ],
)
def test_a_damaged_bundle_is_listed_with_its_problem(capsys, tmp_path, damage, named):
    write_bundle(tmp_path / "good")
    damage(write_bundle(tmp_path / "bad"))
    bad, good = json.loads(run(capsys, "--json", "--folder", tmp_path))["bundles"]
    assert good["problem"] is None
    assert named in bad["problem"]
    assert str(tmp_path / "bad") in bad["problem"]
    shown = run(capsys, "--folder", tmp_path)
    assert bad["problem"] in shown


def test_a_bundle_of_a_newer_version_is_listed_with_its_problem(tmp_path):
    write_bundle(tmp_path / "newer", format=99)
    (newer,) = listing.bundles([tmp_path])
    assert "format 99" in newer["problem"]


def test_accuracy_that_is_no_number_is_not_known(tmp_path):
    write_bundle(tmp_path / "odd", metrics={"overall_accuracy": "high", "mean_iou": True})
    (odd,) = listing.bundles([tmp_path])
    assert (odd["accuracy"], odd["mean_iou"], odd["problem"]) == (None, None, None)


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(BundleError, match="nowhere"):
        listing.bundles([tmp_path / "nowhere"])


def test_tables_show_names_as_they_are(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    write_bundle(tmp_path / "one")
    shown = run(capsys, "--folder", tmp_path)
    for text in ("woods [b] :tree:", "wood, [/b]", "87.5%", "timo_huge", "none published"):
        assert text in shown


def test_a_folder_without_bundles_is_told(capsys, tmp_path):
    assert f"No model bundles in '{tmp_path}'" in run(capsys, "--folder", tmp_path)
