# SPDX-License-Identifier: GPL-3.0-or-later
"""The models compute what the published ones do: 1e-5 on outputs, 1e-4 of the norm on gradients.

Under bf16 autocast, 3e-2 of the norm on every output.
"""

import pytest
import torch

from tests.timo.models.published import (
    OUTPUTS,
    SMALL,
    Published,
    autoencoder,
    loaded,
    state_before_training,
    training_loss,
)
from timo.models import TiMoEncoder


@pytest.fixture(scope="module")
def encoder_file():
    return Published("encoder")


@pytest.mark.parametrize("gradients", [False, True])
@pytest.mark.parametrize("name", OUTPUTS)
def test_model_gives_the_published_outputs(name, gradients):
    published = Published(name)
    with torch.set_grad_enabled(gradients):
        outputs = OUTPUTS[name](published)
    for output_name, output in outputs.items():
        torch.testing.assert_close(output, published[output_name], atol=1e-5, rtol=0, msg=output_name)


def test_encoder_has_the_published_loss_and_gradients_in_training(encoder_file):
    model = loaded(TiMoEncoder(**SMALL), encoder_file.part("state.")).train()
    loss = training_loss(model, encoder_file)
    torch.testing.assert_close(loss, encoder_file["train.loss"], atol=1e-5, rtol=0)
    loss.backward()
    expected = encoder_file.part("train.grad.")
    assert expected.keys() == dict(model.named_parameters()).keys()
    for name, parameter in model.named_parameters():
        error = (parameter.grad - expected[name]).norm() / expected[name].norm()
        assert error < 1e-4, f"{name}: {error:.1e}"


def test_a_training_step_leaves_the_published_running_statistics(encoder_file):
    """With the eval outputs, which hold for these starting statistics alone, this fixes the update."""
    model = loaded(TiMoEncoder(**SMALL), state_before_training(encoder_file)).train()
    model(encoder_file["input"])
    left = model.state_dict()
    expected = encoder_file.part("train.after.")
    assert expected.keys() == {name for name in left if name.endswith(("running_mean", "running_var"))}
    for name, statistic in expected.items():
        torch.testing.assert_close(left[name], statistic, atol=1e-5, rtol=0, msg=name)


def test_autoencoder_shows_the_units_that_the_published_one_does():
    published = Published("mae")
    result = autoencoder(published)(published["input"], published["noise"])
    assert result.visible.equal(published["visible_units"].bool())


@pytest.mark.parametrize("name", OUTPUTS)
def test_published_outputs_hold_in_bfloat16(name):
    published = Published(name)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        outputs = OUTPUTS[name](published)
    for output_name, output in outputs.items():
        error = (output.float() - published[output_name]).norm() / published[output_name].norm()
        assert error < 3e-2, f"{output_name}: {error:.1e}"
