# SPDX-License-Identifier: GPL-3.0-or-later
"""The algorithms' groups in the toolbox: id and name."""

from __future__ import annotations

from ..i18n import tr

MAPS = ("maps", tr("Maps"))
MODELS = ("models", tr("Models"))
