# SPDX-License-Identifier: GPL-3.0-or-later
"""The variants by name: for timm (`timm.create_model("timo_base")` gives the encoder), and with a head.

base, large and huge are the paper's. small and tiny are this project's own, for machines without a GPU.
"""

from __future__ import annotations

from typing import Any

from timm.models import register_model

from timo.errors import ModelError
from timo.models.encoder import PAPER_ATTENTION, TiMoEncoder
from timo.models.heads import TiMoSegmenter


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


def segmenter(
    name: str, num_classes: int, in_chans: int, head_channels: int | None = None, *, per_date: bool = False
) -> TiMoSegmenter:
    """A new segmenter of a variant, with initial weights.

    Args:
        name: A key of `VARIANTS`.
        num_classes: Classes to tell apart.
        in_chans: Bands of a frame.
        head_channels: Width of the UPerNet head; None takes the one of `HEAD_CHANNELS`, not the paper's.
        per_date: Give a map for every date in place of one for the series.

    Raises:
        ModelError: If there is no variant of that name.
    """
    if name not in VARIANTS:
        raise ModelError(
            "unknown_model", f"There is no model '{name}'.", f"Pick one of {', '.join(VARIANTS)}."
        )
    return TiMoSegmenter(
        num_classes=num_classes,
        head_channels=head_channels or HEAD_CHANNELS[name],
        per_date=per_date,
        in_chans=in_chans,
        **VARIANTS[name],
    )


def _encoder(name: str, pretrained: bool, options: dict[str, Any]) -> TiMoEncoder:
    if pretrained:
        raise ModelError(
            "no_pretrained_weights",
            f"No pre-trained weights of {name} come with this package.",
            "Load published weights with timo.models.official.convert_state_dict, or leave pretrained out.",
        )
    # timm hands these to every model; an encoder without pre-trained weights has no use for them.
    for unused in ("pretrained_cfg", "pretrained_cfg_overlay", "cache_dir"):
        options.pop(unused, None)
    return TiMoEncoder(**{**VARIANTS[name], **options})


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
