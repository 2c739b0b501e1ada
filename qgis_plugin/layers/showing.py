# SPDX-License-Identifier: GPL-3.0-or-later
"""Which layers of a series the map shows."""

from __future__ import annotations

from typing import Collection

from qgis.core import QgsProject
from qgis.gui import QgsLayerTreeView
from qgis.PyQt.QtCore import QSignalBlocker


def show_only(
    project: QgsProject, shown: Collection[str], among: Collection[str], tree: QgsLayerTreeView
) -> None:
    """Make some layers visible, with their groups, and the others of these invisible.

    Args:
        project: The project.
        shown: Ids of the layers to show.
        among: Ids of the layers that are touched at all.
        tree: QGIS's list of layers, which shows it.
    """
    root = project.layerTreeRoot()
    nodes = root.findLayers()
    hidden = [
        node
        for node in nodes
        if node.layerId() in among and node.layerId() not in shown and node.itemVisibilityChecked()
    ]
    # At each change that it hears of QGIS looks through the whole tree: with 200 layers it would stand for
    # more than a second. The last change tells of all; only the list has to be painted anew.
    with QSignalBlocker(root):
        for node in hidden[:-1]:
            node.setItemVisibilityChecked(False)
    for node in hidden[-1:]:
        node.setItemVisibilityChecked(False)
    for node in nodes:
        if node.layerId() in shown:
            node.setItemVisibilityCheckedParentRecursive(True)
    tree.viewport().update()
