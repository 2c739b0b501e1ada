# SPDX-License-Identifier: GPL-3.0-or-later
"""Fine-tuning: parts that stay as they are, learning rates by depth, and low-rank adapters (LoRA)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from types import MethodType
from typing import Any, Literal, cast

from timm.optim import param_groups_layer_decay  # type: ignore[attr-defined]
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from timo.errors import ModelError
from timo.models.encoder import Stage, TiMoEncoder
from timo.models.weights import encoder_of

LoraTarget = Literal["q", "kv", "proj", "mlp"]
_LAYERS: dict[str, str] = {
    "q": r"attn\.q",
    "kv": r"attn\.kv",
    "proj": r"attn\.proj",
    "mlp": r"mlp\.fc[12]",
}


def freeze(model: nn.Module, stages: int) -> None:
    """Keep the stem and the first stages of the encoder as they are.

    Their parameters get no gradient, and in training too their BatchNorm uses the running statistics and
    keeps them, and nothing of them is dropped. A stage's down-sampling belongs to it, and the stem to the
    first stage.

    Args:
        model: A `TiMoEncoder`, or a model with one.
        stages: How many, 0 to 4; 0 freezes nothing, and a number less than before gives the others free.

    Raises:
        ModelError: If there are not so many stages (``freeze_stages``).
    """
    encoder = encoder_of(model)
    if not 0 <= stages <= len(encoder.stages):
        raise ModelError(
            "freeze_stages",
            f"{stages} stages can't be frozen: the encoder has {len(encoder.stages)}.",
            f"Choose a number from 0 (none) to {len(encoder.stages)} (the whole encoder).",
        )
    adapted = _has_adapters(encoder)
    for i, parts in enumerate(zip(encoder.embeds, encoder.stages)):
        frozen, was_frozen = i < stages, _is_held(encoder.stages[i])
        if not frozen and not was_frozen:
            continue
        for part in parts:
            for name, parameter in part.named_parameters():
                parameter.requires_grad_(not frozen and (not adapted or "lora_" in name))
            if frozen:
                _hold(part)
            else:
                _release(part, encoder.training)
                if adapted:
                    _hold_statistics(part)


def group_matcher(model: nn.Module) -> Callable[[str], int]:
    """The layer of each parameter by its name, as timm's optimizers and tools take it.

    0 is the stem, then comes each block in order of depth, and last what is not of the encoder. A stage's
    down-sampling is of its first block's layer, and its last normalisation of its last block's.
    """
    encoder = encoder_of(model)
    prefix = "" if encoder is model else "encoder."
    depths = [len(cast(Stage, stage).blocks) for stage in encoder.stages]
    first = [1 + sum(depths[:i]) for i in range(len(depths))]

    def layer(name: str) -> int:
        found = re.match(rf"{re.escape(prefix)}(embeds|stages)\.(\d)\.(?:blocks\.(\d+)\.)?", name)
        if found is None:
            return sum(depths) + 1
        part, stage, block = found[1], int(found[2]), found[3]
        if part == "embeds":
            return first[stage] if stage else 0
        return first[stage] + (depths[stage] - 1 if block is None else int(block))

    return layer


class _Layered:
    """A model's parameters and layers, as `param_groups_layer_decay` asks for them."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model

    def named_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        return self.model.named_parameters()

    def group_matcher(self, coarse: bool = False) -> Callable[[str], int]:
        return group_matcher(self.model)


def parameter_groups(
    model: nn.Module, learning_rate: float, weight_decay: float = 0.05, layer_decay: float = 1.0
) -> list[dict[str, Any]]:
    """Groups for an optimizer: what was pre-trained, and is general, learns slower than what is new.

    A layer's learning rate is `layer_decay` times that of the layer after it; the last one's, the heads', is
    `learning_rate`. Layers are those of `group_matcher`. Biases, normalisations and mask tokens are not drawn
    to zero. Frozen parameters are left out, and still count as layers.

    Args:
        model: A `TiMoEncoder`, or a model with one.
        learning_rate: Of the heads; more than 0.
        weight_decay: Of AdamW and the like.
        layer_decay: More than 0, up to 1, which is the same rate everywhere. Fine-tuning usually takes 0.65
            to 0.9.

    Returns:
        Dicts with "params", "lr", "lr_scale" ("lr" over `learning_rate`) and "weight_decay". A scheduler that
        sets rates itself, such as OneCycleLR, is to be given the list of the groups' "lr" as its `max_lr`.

    Raises:
        ModelError: If `layer_decay` is out of range (``layer_decay``), or nothing is left to learn
            (``nothing_to_learn``).

    Source: Bao et al. 2022, BEiT; `timm.optim.param_groups_layer_decay`.
    """
    if not 0 < layer_decay <= 1:
        raise ModelError(
            "layer_decay",
            f"The decay of the learning rate from layer to layer is {layer_decay:g}.",
            "Choose a number above 0, and at most 1.",
        )
    groups: list[dict[str, Any]] = param_groups_layer_decay(
        cast(nn.Module, _Layered(model)),  # it asks for nothing else of a module
        weight_decay=weight_decay,
        no_weight_decay_list=("*mask_token",),
        layer_decay=layer_decay,
    )
    if not groups:
        raise ModelError(
            "nothing_to_learn", "All parameters of the model are frozen.", "Freeze fewer stages of it."
        )
    for group in groups:
        group["lr"] = learning_rate * group["lr_scale"]
    return groups


def add_lora(
    model: nn.Module,
    rank: int = 8,
    alpha: int = 16,
    dropout: float = 0.0,
    targets: Sequence[LoraTarget] = ("q", "kv", "proj"),
) -> int:
    """Put low-rank adapters beside linear layers of the encoder; of the encoder, they alone learn.

    Each adds ``alpha / rank * B(A(x))`` to a layer's result; B is 0 at first, so that nothing changes. The
    rest of the encoder gets no gradients, and its BatchNorm keeps its running statistics. Heads learn as
    before. Frozen stages get no adapters. `merge_lora` folds them into the layers when training has ended.

    Args:
        model: A `TiMoEncoder`, or a model with one; it is changed in place.
        rank: Width of the adapters, 1 and more.
        alpha: How strongly they act, over `rank`.
        dropout: Share of an adapter's input that is dropped in training, 0 to below 1.
        targets: The layers: "q", "kv" and "proj" of attention, "mlp" for both of the MLPs.

    Returns:
        How many parameters the adapters have.

    Raises:
        ModelError: If peft is not installed (``lora_not_installed``), the encoder has adapters already
            (``lora_twice``), or nothing is to be adapted, or an argument is out of range (``lora_options``).

    Source: Hu et al. 2022, LoRA; the package peft.
    """
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError as error:
        raise ModelError(
            "lora_not_installed",
            "LoRA adapters need the package peft, which is not installed.",
            "Install it with: pip install 'timo-qgis[lora]'",
        ) from error
    encoder = encoder_of(model)
    if _has_adapters(encoder):
        raise ModelError(
            "lora_twice", "The encoder has LoRA adapters already.", "Fold them in with merge_lora first."
        )
    learning = [str(i) for i, stage in enumerate(encoder.stages) if not _is_held(stage)]
    _check_lora(rank, dropout, targets, learning)
    layers = "|".join(_LAYERS[target] for target in targets)
    config = LoraConfig(
        r=rank,
        lora_alpha=alpha,
        lora_dropout=dropout,
        target_modules=rf"stages\.({'|'.join(learning)})\.blocks\.\d+\.({layers})",
    )
    inject_adapter_in_model(config, encoder)  # leaves gradients to the adapters alone
    for stage in learning:
        _hold_statistics(encoder.embeds[int(stage)])
        _hold_statistics(encoder.stages[int(stage)])
    return sum(parameter.numel() for parameter in encoder.parameters() if parameter.requires_grad)


def merge_lora(model: nn.Module) -> None:
    """Fold the adapters of `add_lora` into their layers: a plain model again, which computes the same.

    Names in the state dict are those of a model that never had adapters. What is not frozen learns again.

    Raises:
        ModelError: If an adapter's values are not finite, as after a training that went astray
            (``lora_not_finite``).
    """
    encoder = encoder_of(model)
    if not _has_adapters(encoder):
        return
    from peft.tuners.lora import Linear

    layers = {name: layer for name, layer in encoder.named_modules() if isinstance(layer, Linear)}
    for name, layer in layers.items():
        if not all(parameter.isfinite().all() for parameter in layer.parameters()):
            raise ModelError(
                "lora_not_finite",
                f"The adapter of {name} holds values that are no numbers.",
                "Take the adapters of an earlier epoch, or train with a lower learning rate.",
            )
    for name, layer in layers.items():
        layer.merge()
        encoder.set_submodule(name, layer.get_base_layer())
    del encoder.peft_config
    for i, parts in enumerate(zip(encoder.embeds, encoder.stages)):
        if _is_held(encoder.stages[i]):
            continue
        for part in parts:
            part.requires_grad_(True)
            _release(part, encoder.training)


def _check_lora(rank: int, dropout: float, targets: Sequence[str], stages: Sequence[str]) -> None:
    unknown = [target for target in targets if target not in _LAYERS]
    if unknown or not targets:
        message = f"LoRA has no target '{unknown[0]}'." if unknown else "LoRA has no targets."
        raise ModelError("lora_options", message, f"Choose from {', '.join(_LAYERS)}.")
    if rank < 1 or not 0 <= dropout < 1:
        raise ModelError(
            "lora_options",
            f"LoRA of rank {rank} with dropout {dropout:g} can't be.",
            "Choose a rank of 1 or more, and a dropout from 0 to below 1.",
        )
    if not stages:
        raise ModelError(
            "lora_options", "All stages are frozen, and LoRA has nothing to adapt.", "Freeze fewer stages."
        )


def _has_adapters(encoder: TiMoEncoder) -> bool:
    return hasattr(encoder, "peft_config")


def _stay(module: nn.Module, mode: bool = True) -> nn.Module:
    """In place of `train`: evaluation, whatever is asked for."""
    return nn.Module.train(module, False)


def _hold(module: nn.Module) -> None:
    """Keep a module in evaluation mode, also when a model that it is of goes to training."""
    vars(module)["train"] = MethodType(_stay, module)  # copies of the model get their own
    module.eval()


def _release(module: nn.Module, training: bool) -> None:
    for part in module.modules():
        vars(part).pop("train", None)
    module.train(training)


def _is_held(module: nn.Module) -> bool:
    return "train" in vars(module)


def _hold_statistics(module: nn.Module) -> None:
    for part in module.modules():
        if isinstance(part, _BatchNorm):
            _hold(part)
