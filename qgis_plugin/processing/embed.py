# SPDX-License-Identifier: GPL-3.0-or-later
"""``timo:embed``: a model's features of a series, for other tools to work with."""

from __future__ import annotations

from ..i18n import tr
from .algorithm import TaskAlgorithm
from .groups import MAPS


class EmbedAlgorithm(TaskAlgorithm):
    """The features come as QGIS shows any raster of many bands."""

    TASK = "embed"
    TITLE = tr("Features of a series")
    ABOUT = tr(
        "Write what a model sees in a series as a raster with a band for each feature, for clustering or "
        "for a classifier of your own."
    )
    GROUP = MAPS
    ICON = "series"
