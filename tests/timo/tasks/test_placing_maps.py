# SPDX-License-Identifier: GPL-3.0-or-later
"""A map that is interrupted while it is put in place, or later: it is ended, and the analyst's files stay."""

import shutil
from pathlib import Path

import pyogrio
import pytest

from tests.timo.tasks.blocks import Stopping, pixels, same
from timo.errors import Cancelled, OutputError
from timo.inference import partial
from timo.inference.blocks import BlockPredictor
from timo.inference.partial import partial_folder
from timo.tasks.reporter import Reporter


class Ending(Reporter):
    """Stops a task when it has put all in place, before it can say so."""

    def artifact(self, path, kind):
        raise Cancelled


def test_stopped_when_the_map_is_whole_it_ends_it_and_replaces_no_file_of_the_analyst(
    predict, whole, tmp_path
):
    out = tmp_path / "map.tif"
    with pytest.raises(Cancelled):
        predict(reporter=Ending())
    made = out.rename(tmp_path / "put_away.tif")
    out.write_text("the analyst's own")
    with pytest.raises(OutputError) as caught:
        predict()
    assert caught.value.code == "output_exists"
    assert out.read_text() == "the analyst's own"
    made.replace(out)
    predict()
    assert same(out, whole.map)
    assert not partial_folder(out).exists()


@pytest.fixture
def refuse(monkeypatch):
    """Runs something while the map, or what belongs to it, can't be put in place any more."""

    def refused(run, left):
        real = Path.replace

        def replace(path, target):
            nonlocal left
            if Path(target).name in ("map.tif", "confidence.tif"):
                left -= 1
                if left < 0:
                    raise PermissionError(13, "QGIS reads it", str(target))
            return real(path, target)

        with monkeypatch.context() as patch:
            patch.setattr(Path, "replace", replace)
            with pytest.raises(OutputError, match="QGIS reads it"):
                run()

    return refused


@pytest.fixture
def predicts_nothing(monkeypatch):
    """From when it is called no block may be predicted."""

    def predict(*_):
        raise AssertionError("it predicts what is done")

    return lambda: monkeypatch.setattr(BlockPredictor, "predict", predict)


def test_refused_twice_while_all_is_put_in_place_it_still_knows_its_own_files(
    predict, whole, refuse, predicts_nothing, tmp_path
):
    def run():
        return predict(confidence=str(tmp_path / "confidence.tif"))

    refuse(run, left=1)
    predicts_nothing()
    refuse(run, left=0)
    refuse(run, left=0)
    run()
    assert same(tmp_path / "map.tif", whole.map)
    assert not partial_folder(tmp_path / "map.tif").exists()


def stop_while_blocks_go(predict, monkeypatch, **more):
    def remove(folder, *_, **__):
        for file in Path(folder).glob("*.tif"):
            file.unlink()
            raise Cancelled

    with monkeypatch.context() as patch:
        patch.setattr(partial.shutil, "rmtree", remove)
        with pytest.raises(Cancelled):
            predict(**more)


def test_stopped_while_its_blocks_are_removed_it_predicts_none_of_them_again(
    predict, whole, predicts_nothing, tmp_path, monkeypatch
):
    stop_while_blocks_go(predict, monkeypatch)
    before = (tmp_path / "map.tif").stat()
    predicts_nothing()
    summary = predict()
    mapped = pixels(whole.map)
    assert [row["pixels"] for row in summary["classes"]] == [(mapped == n).sum() for n in (1, 2)]
    assert (tmp_path / "map.tif").stat() == before
    assert not partial_folder(tmp_path / "map.tif").exists()


def test_stopped_then_it_makes_the_polygons_that_are_wanted_now(
    predict, predicts_nothing, tmp_path, monkeypatch
):
    polygons = tmp_path / "p.gpkg"
    stop_while_blocks_go(predict, monkeypatch, polygons=str(polygons))
    few = pyogrio.read_info(polygons, layer="classes")["features"]
    predicts_nothing()
    predict(polygons=str(polygons), minimum_area=100)
    assert pyogrio.read_info(polygons, layer="classes")["features"] > few
    assert not partial_folder(tmp_path / "map.tif").exists()


def test_without_its_blocks_and_its_map_it_makes_both_again(predict, whole, tmp_path):
    with pytest.raises(Cancelled):
        predict(reporter=Ending())
    shutil.rmtree(partial_folder(tmp_path / "map.tif") / "blocks")
    (tmp_path / "map.tif").unlink()
    predict()
    assert same(tmp_path / "map.tif", whole.map)


def test_a_map_that_was_begun_anew_does_not_take_the_one_before_it_for_its_own(predict, whole, tmp_path):
    out = tmp_path / "map.tif"
    with pytest.raises(Cancelled):
        predict(reporter=Ending())
    other = {"confidence": str(tmp_path / "confidence.tif")}
    with pytest.raises(Cancelled):
        predict(reporter=Stopping(partial_folder(out), 2), overwrite=True, **other)
    with pytest.raises(OutputError, match="exists already"):
        predict(**other)
    assert same(out, whole.map)


def test_a_file_that_is_saved_there_while_the_rasters_are_written_is_not_replaced(predict, tmp_path):
    class Saving(Reporter):
        def progress(self, fraction, message):
            if message == "Writing the map":
                (tmp_path / "map.tif").write_text("the analyst's own")

    with pytest.raises(OutputError, match="exists already"):
        predict(reporter=Saving())
    assert (tmp_path / "map.tif").read_text() == "the analyst's own"
