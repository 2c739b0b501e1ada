# SPDX-License-Identifier: GPL-3.0-or-later
"""TiMo's models. Importing this registers the variants with timm."""

from timo.models import registry as registry
from timo.models.classifier import TiMoClassifier
from timo.models.encoder import TiMoEncoder
from timo.models.heads import TiMoSegmenter
from timo.models.mae import TiMoMAE

__all__ = ["TiMoClassifier", "TiMoEncoder", "TiMoMAE", "TiMoSegmenter"]
