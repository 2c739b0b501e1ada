# SPDX-License-Identifier: GPL-3.0-or-later
import msgspec
import numpy as np
import pytest

from tests.timo.report.pages import Page
from timo.bundle import Architecture, BandCard, Card, ClassCard, DatesCard
from timo.errors import OutputError
from timo.report.figures import picture
from timo.report.page import image, section
from timo.report.training import training_page, write_training_report
from timo.training.metrics import figures_of

HISTORY = [
    {"train_loss": 1.0 / e, "val_loss": 1.2 / e, "val_accuracy": 0.9 - 0.2 / e, "val_miou": 0.8 - 0.2 / e}
    for e in range(1, 11)
]
CARD = Card(
    format=1,
    task="segmentation",
    name="crops & <co>",
    architecture=Architecture(name="timo_tiny", in_chans=1, num_classes=2, head_channels=64, zoom=1),
    classes=[
        ClassCard(value=1, name="maize", color="#e69f00"),
        ClassCard(value=2, name="wheat", color="#56b4e9"),
    ],
    bands=[
        BandCard(
            key="red", name="B04", role="red", sensor=None, scale=1, offset=0, nodata=0, mean=0.1, std=0.05
        )
    ],
    dates=DatesCard(count=4, first="2020-04-01", last="2020-10-01", minimum=2),
    ground_sample_distance=[10.0, 10.0],
    crs="EPSG:32631",
    chip=64,
    nodata=255,
    metrics=figures_of([[80, 20], [6, 94]], ["maize", "wheat"]),
    training={
        "spec": {"labels": "l.gpkg"}, "epoch": 7, "history": HISTORY, "pixels": {"maize": 300, "wheat": 500},
        "started_from": "random weights", "seconds": 61.2, "finished": "2026-01-01T00:00:00+00:00",
        "versions": {"timo": "0.1"},
    },
    licence="Of whoever trained it.",
    weights_sha256="abc",
)  # fmt: skip


def without(*names, **more):
    return msgspec.structs.replace(
        CARD, training={k: v for k, v in CARD.training.items() if k not in names} | more
    )


def test_the_page_tells_how_the_training_went(tmp_path):
    write_training_report(tmp_path / "report.html", CARD, remarks=["maize was drawn twice."])
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    for text in (
        "Training of 'crops & <co>'",
        "Of 100 pixels kept from the training, 87 are mapped right (174 of 200).",
        "The model learnt for 10 epochs in 61 s. Of these, epoch 7 was best and is kept.",
        "maize was drawn twice.",
        "labels that it never saw",
        "maize 1 300 100",
        "EPSG:32631",
        "random weights",
    ):
        assert text in page.text, text
    assert len(page.plots()) == 3


@pytest.mark.parametrize(("best", "said"), [(10, True), (5, False)])
def test_a_training_that_was_still_getting_better_is_told(best, said):
    assert ("more epochs may make the model better" in training_page(without(epoch=best))) is said


def test_a_model_that_tells_little_of_its_training_has_its_page():
    card = msgspec.structs.replace(CARD, metrics={}, training={})
    page = Page(training_page(card))
    assert page.plots() == []
    assert "timo_tiny" in page.text


def test_a_classifiers_page_speaks_of_chips():
    chips = msgspec.structs.replace(CARD.architecture, kind="classifier")
    page = Page(training_page(msgspec.structs.replace(CARD, architecture=chips)))
    assert "Of 100 chips kept from the training" in page.text


def test_a_pre_training_shows_its_loss_and_what_else_it_has():
    card = msgspec.structs.replace(
        without(
            "pixels", history=[{"train_loss": 1.0, "val_loss": 1.1}, {"train_loss": 0.5, "val_loss": 0.6}]
        ),
        metrics={"loss": 0.6},
        classes=[],
    )
    made = section("Reconstructions", image(picture(np.zeros((4, 4, 3), np.uint8)), "Four by four"))
    page = Page(training_page(card, more=[made]))
    assert "Reconstructions" in page.text
    assert "class" not in page.text
    assert len(page.plots()) == 1
    assert len(page.images) == 2


def test_figures_of_an_earlier_version_have_their_page():
    old = {key: value for key, value in CARD.metrics.items() if key not in ("kappa", "macro_f1")}
    assert "87.0 %" in Page(training_page(msgspec.structs.replace(CARD, metrics=old))).text


def test_a_page_that_cannot_be_written_is_told(tmp_path):
    with pytest.raises(OutputError, match=r"report\.html"):
        write_training_report(tmp_path / "nowhere" / "report.html", CARD)
