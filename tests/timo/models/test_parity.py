# SPDX-License-Identifier: GPL-3.0-or-later
"""The models compute what the published ones do: 1e-5 on outputs, 1e-4 of the norm on gradients.

Under bf16 autocast, 3e-2 of the norm on every output.
"""

import pytest
import torch

from tests.timo.models.conftest import SMALL
from timo.models import TiMoClassifier, TiMoEncoder, TiMoMAE, TiMoSegmenter

MOMENTUM = 0.1


def autoencoder(published):
    """The published autoencoder, of 3 bands; its attention is full, whatever is asked for."""
    return converted(TiMoMAE(**{**SMALL, "in_chans": 3}), published.part("state.")).eval()


def converted(model, state):
    model.load_state_dict(state, strict=True)
    return model


def training_loss(model, published):
    stages = model(published["input"])
    return sum(
        (stage.flatten(0, 1) * published[f"train.weight{number}"]).mean()
        for number, stage in enumerate(stages, start=1)
    )


def state_before_training(published, small):
    """The weights as they were for the eval outputs.

    The file's running statistics are those after its training step (tests/data/parity/README.md). A step from
    zero statistics leaves 0.1 of the batch's, which is taken back: before = (after - 0.1 * batch's) / 0.9.
    """
    state = published.part("state.")
    statistics = [name for name in state if name.endswith(("running_mean", "running_var"))]
    model = TiMoEncoder(**small)
    model.load_state_dict({**state, **{name: torch.zeros_like(state[name]) for name in statistics}})
    with torch.no_grad():
        model.train()(published["input"])
    for name in statistics:
        state[name] = (state[name] - model.state_dict()[name]) / (1 - MOMENTUM)
    return state


@pytest.fixture(scope="module")
def before_training(published_encoder):
    return state_before_training(published_encoder, SMALL)


def test_encoder_gives_the_published_stages(published_encoder, before_training, small):
    model = converted(TiMoEncoder(**small), before_training).eval()
    with torch.no_grad():
        stages = model(published_encoder["input"])
    for number, stage in enumerate(stages, start=1):
        torch.testing.assert_close(
            stage.flatten(0, 1), published_encoder[f"stage{number}"], atol=1e-5, rtol=0, msg=f"stage {number}"
        )


def test_encoder_gives_the_published_stages_with_gradients_on(published_encoder, before_training, small):
    model = converted(TiMoEncoder(**small), before_training).eval()
    for number, stage in enumerate(model(published_encoder["input"]), start=1):
        torch.testing.assert_close(
            stage.flatten(0, 1), published_encoder[f"stage{number}"], atol=1e-5, rtol=0
        )


@pytest.mark.parametrize("dates", [1, 2, 4])
def test_encoder_gives_the_published_stage_for_few_dates(published_encoder, before_training, small, dates):
    model = converted(TiMoEncoder(**small), before_training).eval()
    with torch.no_grad():
        stage = model(published_encoder["input"][:, :dates])[3]
    torch.testing.assert_close(stage.flatten(0, 1), published_encoder[f"stage4_T{dates}"], atol=1e-5, rtol=0)


def test_encoder_has_the_published_loss_and_gradients_in_training(published_encoder, small):
    model = converted(TiMoEncoder(**small), published_encoder.part("state.")).train()
    loss = training_loss(model, published_encoder)
    torch.testing.assert_close(loss, published_encoder["train.loss"], atol=1e-5, rtol=0)
    loss.backward()
    expected = published_encoder.part("train.grad.")
    assert expected.keys() == dict(model.named_parameters()).keys()
    for name, parameter in model.named_parameters():
        error = (parameter.grad - expected[name]).norm() / expected[name].norm()
        assert error < 1e-4, f"{name}: {error:.1e}"


def test_a_training_step_leaves_the_published_running_statistics(published_encoder, before_training, small):
    """With the eval outputs above, which hold for these starting statistics alone, this fixes the update."""
    model = converted(TiMoEncoder(**small), before_training).train()
    model(published_encoder["input"])
    left = model.state_dict()
    expected = published_encoder.part("train.after.")
    assert expected.keys() == {name for name in left if name.endswith(("running_mean", "running_var"))}
    for name, statistic in expected.items():
        torch.testing.assert_close(left[name], statistic, atol=1e-5, rtol=0, msg=name)


@pytest.mark.parametrize("gradients", [False, True])
@pytest.mark.parametrize("per_date", [False, True])
def test_segmenter_gives_the_published_logits(published_segmenter, small, per_date, gradients):
    model = converted(
        TiMoSegmenter(num_classes=6, per_date=per_date, **small), published_segmenter.part("state.")
    )
    with torch.set_grad_enabled(gradients):
        logits = model.eval()(published_segmenter["input"])
    if per_date:
        logits, expected = logits.flatten(0, 1), published_segmenter["logits_per_date"]
    else:
        expected = published_segmenter["logits_per_series"]
    torch.testing.assert_close(logits, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("gradients", [False, True])
def test_classifier_gives_the_published_features_and_logits(published_classifier, small, gradients):
    with torch.set_grad_enabled(gradients):
        for name, output in classifier_outputs(published_classifier).items():
            torch.testing.assert_close(output, published_classifier[name], atol=1e-5, rtol=0, msg=name)


@pytest.mark.parametrize("gradients", [False, True])
def test_autoencoder_shows_hides_and_reconstructs_what_the_published_one_does(
    published_autoencoder, gradients
):
    model = autoencoder(published_autoencoder)
    with torch.set_grad_enabled(gradients):
        result = model(published_autoencoder["input"], published_autoencoder["noise"])
    assert result.visible.equal(published_autoencoder["visible_units"].bool())
    torch.testing.assert_close(result.latent, published_autoencoder["latent"], atol=1e-5, rtol=0)
    torch.testing.assert_close(result.loss, published_autoencoder["loss"], atol=1e-5, rtol=0)


def classifier_outputs(published):
    model = converted(TiMoClassifier(num_classes=7, **SMALL), published.part("state.")).eval()
    per_date = converted(
        TiMoClassifier(num_classes=7, per_date=True, **SMALL), published.part("state.")
    ).eval()
    return {
        "features": model.encoder(published["input"])[3].flatten(0, 1),
        "logits_per_series": model(published["input"]),
        "logits_per_date": per_date(published["input"]),
    }


def encoder_outputs(published, state):
    model = converted(TiMoEncoder(**SMALL), state).eval()
    stages = model(published["input"])
    outputs = {f"stage{number}": stage for number, stage in enumerate(stages, start=1)}
    for dates in (1, 2, 4):
        outputs[f"stage4_T{dates}"] = model(published["input"][:, :dates])[3]
    return {name: output.flatten(0, 1) for name, output in outputs.items()}


def segmenter_outputs(published):
    outputs = {}
    for name, per_date in (("logits_per_series", False), ("logits_per_date", True)):
        model = converted(TiMoSegmenter(num_classes=6, per_date=per_date, **SMALL), published.part("state."))
        logits = model.eval()(published["input"])
        outputs[name] = logits.flatten(0, 1) if per_date else logits
    return outputs


def autoencoder_outputs(published):
    result = autoencoder(published)(published["input"], published["noise"])
    return {"latent": result.latent, "loss": result.loss}


@torch.no_grad()
def test_every_published_output_holds_in_bfloat16(
    published_encoder, before_training, published_segmenter, published_classifier, published_autoencoder
):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = [
            (published_encoder, encoder_outputs(published_encoder, before_training)),
            (published_segmenter, segmenter_outputs(published_segmenter)),
            (published_classifier, classifier_outputs(published_classifier)),
            (published_autoencoder, autoencoder_outputs(published_autoencoder)),
        ]
    for published, outputs in found:
        for name, output in outputs.items():
            error = (output.float() - published[name]).norm() / published[name].norm()
            assert error < 3e-2, f"{name}: {error:.1e}"
