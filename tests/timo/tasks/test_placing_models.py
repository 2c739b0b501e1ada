# SPDX-License-Identifier: GPL-3.0-or-later
"""A model that is interrupted while it is put in place: it is ended, and the analyst's files stay."""

from pathlib import Path

import pytest

from timo.bundle import load_card, load_model, save
from timo.errors import OutputError
from timo.placing import Placing


@pytest.fixture
def put(bundle, tmp_path):
    """Puts a model where one may stand, as a training does."""
    card = load_card(bundle)
    model = load_model(bundle, card)

    def run(**more):
        save(tmp_path / "m", card, model, placing=Placing(tmp_path / "placing", "key"), **more)

    return run


def refuse(monkeypatch, name, run):
    """Run something while a folder can't be renamed."""
    real = Path.rename

    def rename(path, target):
        if path.name == name:
            raise PermissionError(13, "it is being read", str(path))
        return real(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", rename)
        with pytest.raises(OutputError, match="it is being read"):
            run()


def test_refused_twice_while_it_is_put_in_place_it_still_knows_its_own_model(put, tmp_path, monkeypatch):
    put()
    for _ in range(2):
        refuse(monkeypatch, "m", put)
    put()
    assert {path.name for path in tmp_path.iterdir()} == {"m", "placing"}


def test_a_file_that_the_analyst_adds_to_a_model_keeps_that_from_being_replaced(put, tmp_path):
    put()
    (tmp_path / "m" / "notes.txt").write_text("the analyst's own")
    with pytest.raises(OutputError, match="exists already"):
        put()
    assert (tmp_path / "m" / "notes.txt").read_text() == "the analyst's own"


def test_an_empty_folder_is_no_model_of_the_training(put, tmp_path):
    (tmp_path / "m").mkdir()
    with pytest.raises(OutputError, match="exists already"):
        put()


def test_a_model_is_replaced_although_the_one_before_was_not_removed_to_its_end(put, tmp_path):
    put()
    (tmp_path / ".m.replaced").mkdir()
    (tmp_path / ".m.replaced" / "weights.safetensors").touch()
    put(overwrite=True)
    assert {path.name for path in tmp_path.iterdir()} == {"m", "placing"}


def test_a_model_stays_where_the_one_that_shall_replace_it_can_t_be_put_there(put, tmp_path, monkeypatch):
    put()
    before = (tmp_path / "m" / "model.json").stat()
    refuse(monkeypatch, "m.partial", lambda: put(overwrite=True))
    assert (tmp_path / "m" / "model.json").stat() == before
    assert {path.name for path in tmp_path.iterdir()} == {"m", "placing"}
