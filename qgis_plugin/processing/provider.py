# SPDX-License-Identifier: GPL-3.0-or-later
"""The provider ``timo``: the tasks in Processing's toolbox."""

from __future__ import annotations

from typing import List

from qgis.core import QgsProcessingProvider
from qgis.PyQt.QtGui import QIcon

from ..compat import RESOURCES, icon
from .embed import EmbedAlgorithm
from .evaluate import EvaluateAlgorithm
from .finetune import FinetuneAlgorithm
from .predict import PredictAlgorithm
from .pretrain import PretrainAlgorithm

ALGORITHMS = (PredictAlgorithm, FinetuneAlgorithm, EvaluateAlgorithm, PretrainAlgorithm, EmbedAlgorithm)


class TimoProvider(QgsProcessingProvider):
    """Made when the plugin is loaded; needs neither pyzmq nor a backend until an algorithm runs."""

    def id(self) -> str:
        """As in ``timo:predict``."""
        return "timo"

    def name(self) -> str:
        """Its name in the toolbox."""
        return "TiMo"

    def longName(self) -> str:
        """Its name with what it is for."""
        return "TiMo for QGIS"

    def icon(self) -> QIcon:
        """The plugin's icon."""
        return icon("timo")

    def svgIconPath(self) -> str:
        """The plugin's icon as a file."""
        return str(RESOURCES / "icons" / "timo.svg")

    def loadAlgorithms(self) -> None:
        """Called by QGIS; it owns what is added."""
        for algorithm in ALGORITHMS:
            self.addAlgorithm(algorithm())

    def supportedOutputRasterLayerExtensions(self) -> List[str]:
        """What the backend writes."""
        return ["tif", "tiff"]

    def defaultRasterFileExtension(self, *_: object) -> str:
        """Of rasters that the analyst gave no name."""
        return "tif"

    def supportedOutputVectorLayerExtensions(self) -> List[str]:
        """What the backend writes."""
        return ["gpkg"]

    def defaultVectorFileExtension(self, _has_geometry: bool = True) -> str:
        """Of vector files that the analyst gave no name."""
        return "gpkg"

    def supportsNonFileBasedOutput(self) -> bool:
        """The backend writes files alone: no memory layers."""
        return False
