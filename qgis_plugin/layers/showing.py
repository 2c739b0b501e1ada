# SPDX-License-Identifier: GPL-3.0-or-later
"""Which layers of a series the map shows."""

from __future__ import annotations

from typing import Collection

from qgis.core import QgsProject


def show_only(project: QgsProject, shown: Collection[str], among: Collection[str]) -> None:
    """Make some layers visible, with their groups, and the others of these invisible.

    Args:
        project: The project.
        shown: Ids of the layers to show.
        among: Ids of the layers that are touched at all.
    """
    root = project.layerTreeRoot()
    for layer_id in among:
        node = root.findLayer(layer_id)
        if node is None:
            continue
        if layer_id in shown:
            node.setItemVisibilityCheckedParentRecursive(True)
        elif node.itemVisibilityChecked():
            node.setItemVisibilityChecked(False)
