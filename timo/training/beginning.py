# SPDX-License-Identifier: GPL-3.0-or-later
"""What a training starts from: the encoder of a model bundle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import nn

from timo import bundle
from timo.errors import SpecError
from timo.models.tuning import add_lora, freeze
from timo.models.weights import encoder_of, load_weights
from timo.tasks.specs import FinetuneSpec

WRAPPER = "segmenter."  # what stands before the names of a model that is part of another


@dataclass(frozen=True)
class Beginning:
    """A bundle to start from: its description and its weights, without the wrapper's prefix."""

    card: bundle.Card
    state: dict[str, torch.Tensor]

    @classmethod
    def read(cls, spec: FinetuneSpec) -> Beginning | None:
        """The bundle that a spec starts from, if it does.

        Raises:
            BundleError: It is no bundle, or damaged.
            SpecError: Only parts are to learn of a model that starts from nothing.
        """
        if spec.start is None:
            if spec.learn != "all":
                raise SpecError(
                    "spec_invalid",
                    f"With learn={spec.learn} the encoder stays as it is, and it starts from random weights.",
                    "Name a model bundle to start from, or let all of it learn.",
                )
            return None
        folder = Path(spec.start)
        card = bundle.load_card(folder)
        state = bundle.load_model(folder, card).state_dict()
        return cls(card, {name.rpartition(WRAPPER)[2]: tensor for name, tensor in state.items()})

    def into(self, model: nn.Module, bands: Sequence[str], learn: Literal["all", "head", "lora"]) -> str:
        """Load the encoder into a new model, and freeze or adapt it.

        Args:
            model: Of the bundle's variant.
            bands: Its bands' keys, in order.
            learn: What of it shall learn.

        Returns:
            What was loaded and what was not, in a sentence.

        Raises:
            ModelError: Too little of the encoder fits, or what LoRA needs isn't installed.
        """
        whole = model
        while isinstance(inner := getattr(whole, "segmenter", None), nn.Module):
            whole = inner
        report = load_weights(
            whole,
            self.state,
            bands=list(bands),
            from_bands=[band.key for band in self.card.bands],
            source=f"the model '{self.card.name}'",
        )
        if learn == "head":
            freeze(whole, len(encoder_of(whole).stages))
        elif learn == "lora":
            add_lora(whole)
        return report.sentence()
