# SPDX-License-Identifier: GPL-3.0-or-later
"""A map tool that is lent the map for a while, and gives it back to the tool that had it before."""

from __future__ import annotations

from typing import Optional

from qgis.gui import QgsMapCanvas, QgsMapTool
from qgis.PyQt import sip


class Loan:
    """Gives the map to a tool, until ``end``.

    Args:
        canvas: The map.
        tool: Has it from now on; it is deleted at the end.
    """

    def __init__(self, canvas: QgsMapCanvas, tool: QgsMapTool) -> None:
        self._canvas, self._tool = canvas, tool
        self._before: Optional[QgsMapTool] = canvas.mapTool()
        self._earlier: Optional[Loan] = getattr(self._before, "loan", None)
        self._over = False
        tool.loan = self
        canvas.setMapTool(tool)

    def end(self, taken: bool = False) -> None:
        """The map has its former tool back, if that is still there.

        Args:
            taken: Whether another tool is about to have the map: it is left to that one.
        """
        if self._over:
            return
        self._over = True
        if sip.isdeleted(self._tool):
            return
        if not taken and not sip.isdeleted(self._canvas) and self._canvas.mapTool() is self._tool:
            before = self._former()
            if before is not None:
                self._canvas.setMapTool(before)
            else:
                self._canvas.unsetMapTool(self._tool)
        self._tool.deleteLater()

    def _former(self) -> Optional[QgsMapTool]:
        if self._earlier is not None and self._earlier._over:
            return self._earlier._former()  # that tool is gone: whoever had the map before it
        return None if self._before is None or sip.isdeleted(self._before) else self._before
