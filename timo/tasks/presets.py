# SPDX-License-Identifier: GPL-3.0-or-later
"""What serves each of the four tasks that TiMo is made for: what it needs, and the settings that suit it.

A preset's settings stand in for those that are left out; what is given counts more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any


@dataclass(frozen=True)
class Preset:
    """One task's needs and settings.

    Attributes:
        title: For an analyst.
        description: When to take it, in a sentence or two.
        bands: Roles that it is known to need, each tuple alternatives: one of them is enough.
        dates: The fewest dates that make sense.
        classes: Classes to label, as a suggestion.
        metric: What tells best whether the map is good: a key of the figures.
        settings: Parameters of ``timo finetune`` in place of the defaults.
    """

    title: str
    description: str
    bands: Sequence[Sequence[str]]
    dates: int
    classes: Sequence[str]
    metric: str
    settings: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    def doubts(self, bands: Sequence[str], dates: int) -> list[str]:
        """What a series lacks, one sentence each.

        Args:
            bands: Roles, or names, of its bands.
            dates: How many it has.
        """
        found = []
        for choices in self.bands:
            if not set(choices) & set(bands):
                wanted = " or ".join(choices)
                found.append(
                    f"{self.title} is told apart by {wanted}, which the series lacks: the map may be poor."
                )
        if dates < self.dates:
            found.append(
                f"{self.title} takes at least {self.dates} dates, and the series has {dates}: add dates."
            )
        return found


PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        "deforestation": Preset(
            title="Deforestation",
            description="Where forest was cleared within the series: label clearings, forest and what never "
            "was forest. Three clear dates of each season serve well.",
            bands=(("nir", "nir_narrow", "vh"), ("swir1", "swir2", "red", "vv")),
            dates=2,
            classes=("forest", "cleared", "other"),
            metric="mean_iou",
        ),
        "land_cover": Preset(
            title="Land cover",
            description="Forest, water, built-up and the like, from one date or a year of dates.",
            bands=(("red", "vv"), ("nir", "nir_narrow", "vh")),
            dates=1,
            classes=("forest", "grassland", "cropland", "water", "built-up", "bare"),
            metric="macro_f1",
        ),
        "crops": Preset(
            title="Crops",
            description="What grows on each field: a whole growing season, a date or more a month.",
            bands=(("red", "vv"), ("nir", "nir_narrow", "vh")),
            dates=6,
            classes=("winter cereals", "summer cereals", "maize", "grassland", "other"),
            metric="macro_f1",
        ),
        "flood": Preset(
            title="Flood",
            description="What water covers after an event and did not before: a date before and one after, "
            "radar or optical.",
            bands=(("vv", "vh", "nir", "nir_narrow", "swir1", "green"),),
            dates=2,
            classes=("dry", "flooded"),
            metric="mean_iou",
            # The next flood covers more or less than those learnt from, in other light; and what is water
            # shows in its surroundings sooner than in a pixel.
            settings=MappingProxyType({"balance": "full", "augmentation": "strong", "zoom": 1}),
        ),
    }
)
