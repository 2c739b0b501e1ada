# SPDX-License-Identifier: GPL-3.0-or-later
"""Options that no task has, of the wrong kind, out of range, or that contradict each other."""

import pytest

from tests.timo.bad_inputs.rows import Table

TABLE = Table()


@TABLE.wrong_parameter("an option that there is not", "…Error: No such option: --epoch …")
def _(desk):
    return desk.finetune(None, "--epoch", "3")


@TABLE.wrong_parameter(
    "a word where a number belongs",
    "…Error: Invalid value for '--epochs': …integer…",
)
def _(desk):
    return desk.finetune(None, "--epochs", "many")


@TABLE.wrong_parameter(
    "a model's output isn't named",
    "…Error: Missing option '--out'.",
)
def _(desk):
    return "pretrain", "--series", desk.series()


@TABLE.wrong_parameter(
    "a learning rate below 0",
    "Parameter 'learning_rate' of task 'finetune' is not valid: expected a number above 0. Correct it and "
    "try again.",
)
def _(desk):
    return desk.finetune(None, "--learning-rate", "-0.001")


@TABLE.wrong_parameter(
    "a chip that is no multiple of 32",
    "Parameter 'chip' of task 'finetune' is not valid: expected a whole number that's a multiple of 32. "
    "Correct it "
    "and try again.",
)
def _(desk):
    return desk.finetune(None, "--chip", "100")


@TABLE.wrong_parameter(
    "no chips in a batch",
    "…Error: Invalid value for '--batch': …1…",
)
def _(desk):
    return desk.predict("--batch", "0")


@TABLE.wrong_parameter(
    "a task that there is no preset for",
    "…Error: Invalid value for '--preset': …'burnt' is not one of 'deforestation', 'land_cover', 'crops', "
    "'flood'…",
)
def _(desk):
    return desk.finetune(None, "--preset", "burnt")


@TABLE.warned(
    "a preset that needs other bands, and more dates",
    "Crops is told apart by nir or nir_narrow or vh, which the series lacks: the map may be poor.\nCrops "
    "takes at least 6 dates, and the series has 4: add dates.",
)
def _(desk):
    return desk.finetune(None, "--preset", "crops", series=desk.series(bands=("B04", "B11")))


@TABLE.refused(
    "a GPU where there is none",
    "This machine has no 'cuda' device that can be used. Choose 'auto' or 'cpu'.",
)
def _(desk):
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    return desk.predict("--device", "cuda")


@TABLE.refused(
    "half precision on the CPU",
    "float16 needs a CUDA GPU. Choose 'auto', 'float32' or 'bfloat16'.",
)
def _(desk):
    return desk.finetune(None, "--device", "cpu", "--precision", "float16")


@TABLE.wrong_parameter(
    "validation and test take all labels",
    "Shares of 0.5 for validation and 0.5 for testing leave nothing to train on. Make them smaller.",
)
def _(desk):
    return desk.finetune(None, "--validation", "0.5", "--test", "0.5")


@TABLE.wrong_parameter(
    "the head alone shall learn, of random weights",
    "With learn=head the encoder stays as it is, and it starts from random weights. Name a model bundle to "
    "start "
    "from, or let all of it learn.",
)
def _(desk):
    return desk.finetune(None, "--learn", "head")


@TABLE.wrong_parameter(
    "a date field for a map of the whole series",
    "The date field 'kind' has a meaning for maps of every date alone. Ask for a map of every date, or leave "
    "the "
    "date field out.",
)
def _(desk):
    return desk.finetune(None, "--date-field", "kind")


@TABLE.wrong_parameter(
    "a colour by its name",
    "Colour 'woods=green' is not of the form NAME=#rrggbb. Correct it.",
)
def _(desk):
    return desk.finetune(None, "--colors", "woods=green")
