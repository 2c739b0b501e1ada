# SPDX-License-Identifier: GPL-3.0-or-later
"""What is searched for in a STAC catalogue, by ``timo stac``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List, Optional, Tuple


@dataclass(frozen=True)
class Search:
    """What to search for.

    Attributes:
        address: Of the API's root.
        box: West, south, east, north in degrees.
        dates: First and last day, "2020-01-01/2020-12-31".
        cloud: Percent of clouds that a scene may have.
    """

    address: str
    collections: Tuple[str, ...]
    box: Tuple[float, float, float, float]
    dates: str
    cloud: Optional[float] = None

    def arguments(self) -> List[str]:
        """For the program."""
        collections = [part for name in self.collections for part in ("--collection", name)]
        box = ["--bbox", *(f"{side:.7f}" for side in self.box)]
        cloud = [] if self.cloud is None else ["--cloud", f"{self.cloud:g}"]
        return ["stac", *collections, *box, "--dates", self.dates, *cloud, "--json", "--", self.address]

    def kept(self) -> Dict[str, Any]:
        """As the file that a job takes as its series has it."""
        cloud = {} if self.cloud is None else {"cloud": self.cloud}
        return {
            "stac": self.address,
            "collections": list(self.collections),
            "bbox": [round(side, 7) for side in self.box],
            "dates": self.dates,
            **cloud,
        }
