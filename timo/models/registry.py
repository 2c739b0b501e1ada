# SPDX-License-Identifier: GPL-3.0-or-later
"""The variants by name: for timm (`timm.create_model("timo_base")` gives the encoder), and as whole models.

base, large and huge are the paper's. small and tiny are this project's own, for machines without a GPU.
"""

from __future__ import annotations

from typing import Any

from timm.models import build_model_with_cfg, generate_default_cfgs, register_model

from timo.errors import ModelError
from timo.models.checks import STRIDE
from timo.models.classifier import TiMoClassifier
from timo.models.encoder import PAPER_ATTENTION, TiMoEncoder
from timo.models.heads import TiMoSegmenter
from timo.models.mae import TiMoMAE


def _variant(dims: tuple[int, ...], heads: tuple[int, ...], depths: tuple[int, ...]) -> dict[str, Any]:
    return {
        "embed_dims": dims,
        "num_heads": heads,
        "mlp_ratios": (4, 4, 4, 4),
        "depths": depths,
        "attention": PAPER_ATTENTION,
    }


VARIANTS: dict[str, dict[str, Any]] = {
    "timo_tiny": _variant((32, 64, 96, 128), (1, 2, 3, 4), (1, 1, 2, 1)),
    "timo_small": _variant((64, 128, 256, 512), (2, 4, 8, 16), (2, 2, 6, 2)),
    "timo_base": _variant((128, 256, 512, 1024), (4, 8, 16, 32), (2, 2, 18, 2)),
    "timo_large": _variant((384, 768, 960, 1536), (6, 12, 24, 48), (2, 2, 18, 2)),
    "timo_huge": _variant((512, 1024, 1280, 2048), (8, 16, 32, 64), (3, 3, 22, 3)),
}

# Width of the head for an analyst's fine-tuning; the paper's, the last stage's, costs most of the run time.
HEAD_CHANNELS = {"timo_tiny": 64, "timo_small": 128, "timo_base": 256, "timo_large": 256, "timo_huge": 256}


# What timm tells of every variant. Bands are standardised by each bundle's own numbers, not by these.
default_cfgs = generate_default_cfgs(
    {
        name: {
            "url": "",
            "num_classes": 0,
            "input_size": (3, 224, 224),
            "min_input_size": (3, STRIDE, STRIDE),
            "crop_pct": 1.0,
            "mean": (0.0, 0.0, 0.0),
            "std": (1.0, 1.0, 1.0),
            "first_conv": "embeds.0.conv1",
            "classifier": "",
            "paper_ids": "arXiv:2505.08723",
            "paper_name": "TiMo: Spatiotemporal Foundation Model for Satellite Image Time Series",
        }
        for name in VARIANTS
    }
)


def segmenter(
    name: str,
    num_classes: int,
    in_chans: int,
    head_channels: int | None = None,
    *,
    per_date: bool = False,
    **encoder: Any,
) -> TiMoSegmenter:
    """A new segmenter of a variant, with initial weights.

    Args:
        name: A key of `VARIANTS`.
        num_classes: Classes to tell apart.
        in_chans: Bands of a frame.
        head_channels: Width of the UPerNet head; None takes the one of `HEAD_CHANNELS`, not the paper's.
        per_date: Give a map for every date in place of one for the series.
        **encoder: Other arguments of `TiMoEncoder`, in place of the variant's.

    Raises:
        ModelError: If there is no variant of that name.
    """
    return TiMoSegmenter(
        num_classes=num_classes,
        head_channels=head_channels or HEAD_CHANNELS.get(name),
        per_date=per_date,
        **_arguments(name, in_chans, encoder),
    )


def classifier(
    name: str, num_classes: int, in_chans: int, *, per_date: bool = False, **encoder: Any
) -> TiMoClassifier:
    """A new classifier of a variant, with initial weights; arguments and errors as of `segmenter`."""
    return TiMoClassifier(num_classes=num_classes, per_date=per_date, **_arguments(name, in_chans, encoder))


def autoencoder(name: str, in_chans: int, **options: Any) -> TiMoMAE:
    """A new masked autoencoder of a variant, with initial weights.

    Args:
        name: A key of `VARIANTS`.
        in_chans: Bands of a frame.
        **options: Other arguments of `TiMoMAE` and `TiMoEncoder`.

    Raises:
        ModelError: If there is no variant of that name.
    """
    return TiMoMAE(**_arguments(name, in_chans, options))


def _arguments(name: str, in_chans: int, options: dict[str, Any]) -> dict[str, Any]:
    if name not in VARIANTS:
        raise ModelError(
            "unknown_model", f"There is no model '{name}'.", f"Pick one of {', '.join(VARIANTS)}."
        )
    return {**VARIANTS[name], "in_chans": in_chans, **options}


def _encoder(name: str, pretrained: bool, options: dict[str, Any]) -> TiMoEncoder:
    if pretrained:
        raise ModelError(
            "no_pretrained_weights",
            f"No pre-trained weights of {name} come with this package.",
            "Load published weights with timo.models.official.convert_state_dict, or leave pretrained out.",
        )
    model: TiMoEncoder = build_model_with_cfg(
        TiMoEncoder,
        name,
        pretrained=False,
        # An encoder has no classes and pools nothing.
        kwargs_filter=("num_classes", "global_pool"),  # type: ignore[arg-type]
        **{**VARIANTS[name], **options},
    )
    return model


@register_model
def timo_tiny(pretrained: bool = False, **options: Any) -> TiMoEncoder:
    """Encoder for 2 CPU cores: 32-64-96-128, 1-1-2-1 blocks."""
    return _encoder("timo_tiny", pretrained, options)


@register_model
def timo_small(pretrained: bool = False, **options: Any) -> TiMoEncoder:
    """Encoder for a laptop: 64-128-256-512, 2-2-6-2 blocks."""
    return _encoder("timo_small", pretrained, options)


@register_model
def timo_base(pretrained: bool = False, **options: Any) -> TiMoEncoder:
    """The paper's base encoder, 90.2 million parameters."""
    return _encoder("timo_base", pretrained, options)


@register_model
def timo_large(pretrained: bool = False, **options: Any) -> TiMoEncoder:
    """The paper's large encoder, 296.9 million parameters."""
    return _encoder("timo_large", pretrained, options)


@register_model
def timo_huge(pretrained: bool = False, **options: Any) -> TiMoEncoder:
    """The paper's huge encoder, 672.5 million parameters."""
    return _encoder("timo_huge", pretrained, options)
