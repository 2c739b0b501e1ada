# SPDX-License-Identifier: GPL-3.0-or-later
"""timm knows the variants and their configs, and options reach the encoder by name."""

import pytest
import timm
import torch

from timo.errors import ModelError
from timo.models.registry import VARIANTS, autoencoder, classifier, segmenter


def test_timm_lists_the_variants():
    assert set(timm.list_models("timo*")) == VARIANTS.keys()
    assert timm.list_models("timo*", pretrained=True) == []


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_has_a_config_that_its_encoder_carries(name):
    assert timm.models.is_model(name)
    config = timm.get_pretrained_cfg(name)
    assert config.input_size == (3, 224, 224)
    assert config.num_classes == 0
    with torch.device("meta"):
        model = timm.create_model(name)
    assert model.default_cfg == model.pretrained_cfg
    assert model.default_cfg["architecture"] == name
    assert model.default_cfg["first_conv"] + ".weight" in model.state_dict()


def test_timm_passes_options_on_to_the_encoder():
    model = timm.create_model("timo_tiny", in_chans=6, position="date", depths=(1, 1, 1, 1))
    assert (model.in_chans, model.position) == (6, "date")
    assert [len(stage.blocks) for stage in model.stages] == [1, 1, 1, 1]


@pytest.mark.parametrize("build", [segmenter, classifier])
def test_models_by_name_take_options_of_the_encoder(build):
    model = build("timo_tiny", 3, 6, position="sorted", depths=(1, 1, 1, 1))
    assert (model.encoder.in_chans, model.encoder.position) == (6, "sorted")
    dates = torch.tensor([[30, 10]])
    assert model(torch.randn(1, 2, 6, 32, 32), dates=dates).shape[:2] == (1, 3)


def test_an_autoencoder_by_name_takes_its_own_options_and_the_encoders():
    model = autoencoder("timo_tiny", 6, decoder_dim=32, mask_ratio=0.5, position="sorted")
    assert (model.mask_ratio, model.encoder.in_chans, model.decoder.position) == (0.5, 6, "sorted")
    assert model.decoder.predict.in_features == 32


@pytest.mark.parametrize(
    "build",
    [
        lambda: segmenter("timo_giant", 2, 3),
        lambda: classifier("timo_giant", 2, 3),
        lambda: autoencoder("timo_giant", 3),
    ],
)
def test_an_unknown_variant_is_refused_with_those_there_are(build):
    with pytest.raises(ModelError, match="timo_giant") as caught:
        build()
    assert "timo_tiny" in caught.value.action
