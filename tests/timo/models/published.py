# SPDX-License-Identifier: GPL-3.0-or-later
"""The published numbers, and our models' outputs with the published weights: for tests and benchmarks."""

from pathlib import Path

import torch
from safetensors.torch import load_file

from timo.models import TiMoClassifier, TiMoEncoder, TiMoMAE, TiMoSegmenter
from timo.models.official import convert_state_dict

PARITY = Path(__file__).parents[2] / "data" / "parity"
MOMENTUM = 0.1

# The published numbers' encoder.
SMALL = {
    "in_chans": 4,
    "embed_dims": (16, 32, 40, 48),
    "num_heads": (2, 2, 4, 6),
    "mlp_ratios": (4, 4, 4, 4),
    "depths": (2, 1, 2, 1),
    "attention": ("gyroscope", "gyroscope", "full", "full"),
}


class Published:
    """One parity file on a device: its tensors by name, and its weights under this package's names."""

    def __init__(self, name, device="cpu"):
        self.tensors = load_file(PARITY / f"{name}.safetensors", device=str(device))

    def __getitem__(self, name):
        return self.tensors[name]

    def part(self, prefix):
        """The tensors under a prefix, with this package's names."""
        found = {
            name.removeprefix(prefix): tensor.clone()
            for name, tensor in self.tensors.items()
            if name.startswith(prefix)
        }
        return convert_state_dict(found)


def loaded(model, state):
    """The model with these weights, on their device."""
    model.load_state_dict(state, strict=True)
    return model.to(next(iter(state.values())).device)


def state_before_training(published):
    """The encoder's weights as they were for the eval outputs.

    The file's running statistics are those after its training step (tests/data/parity/README.md). A step from
    zero statistics leaves 0.1 of the batch's, which is taken back: before = (after - 0.1 * batch's) / 0.9.
    """
    state = published.part("state.")
    statistics = [name for name in state if name.endswith(("running_mean", "running_var"))]
    zeros = {name: torch.zeros_like(state[name]) for name in statistics}
    model = loaded(TiMoEncoder(**SMALL), {**state, **zeros})
    with torch.no_grad():
        model.train()(published["input"])
    for name in statistics:
        state[name] = (state[name] - model.state_dict()[name]) / (1 - MOMENTUM)
    return state


def training_loss(model, published):
    """The loss whose gradients the encoder's file has."""
    stages = model(published["input"])
    return sum(
        (stage.flatten(0, 1) * published[f"train.weight{number}"]).mean()
        for number, stage in enumerate(stages, start=1)
    )


def encoder_outputs(published):
    model = loaded(TiMoEncoder(**SMALL), state_before_training(published)).eval()
    outputs = {f"stage{number}": stage for number, stage in enumerate(model(published["input"]), start=1)}
    for dates in (1, 2, 4):
        outputs[f"stage4_T{dates}"] = model(published["input"][:, :dates])[3]
    return {name: output.flatten(0, 1) for name, output in outputs.items()}


def segmenter_outputs(published):
    outputs = {}
    for name, per_date in (("logits_per_series", False), ("logits_per_date", True)):
        model = TiMoSegmenter(num_classes=6, per_date=per_date, **SMALL)
        logits = loaded(model, published.part("state.")).eval()(published["input"])
        outputs[name] = logits.flatten(0, 1) if per_date else logits
    return outputs


def classifier_outputs(published):
    model, per_date = (
        loaded(TiMoClassifier(num_classes=7, per_date=each, **SMALL), published.part("state.")).eval()
        for each in (False, True)
    )
    return {
        "features": model.encoder(published["input"])[3].flatten(0, 1),
        "logits_per_series": model(published["input"]),
        "logits_per_date": per_date(published["input"]),
    }


def autoencoder(published):
    """The published autoencoder, of 3 bands; its attention is full, whatever is asked for."""
    return loaded(TiMoMAE(**{**SMALL, "in_chans": 3}), published.part("state.")).eval()


def autoencoder_outputs(published):
    result = autoencoder(published)(published["input"], published["noise"])
    return {"latent": result.latent, "loss": result.loss}


OUTPUTS = {
    "encoder": encoder_outputs,
    "segmenter": segmenter_outputs,
    "classifier": classifier_outputs,
    "mae": autoencoder_outputs,
}
