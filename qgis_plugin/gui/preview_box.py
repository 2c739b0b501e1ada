# SPDX-License-Identifier: GPL-3.0-or-later
"""While a training runs: a piece that it does not learn from, its labels, and what the model makes of it."""

from __future__ import annotations

import html
from pathlib import Path
from typing import Optional, Tuple

from qgis.core import QgsMapLayer, QgsProject
from qgis.PyQt.QtCore import QRect, QSize, Qt
from qgis.PyQt.QtGui import QImage, QPainter
from qgis.PyQt.QtWidgets import QCheckBox, QGridLayout, QVBoxLayout, QWidget
from qgis.PyQt.QtXml import QDomDocument, QDomElement

from ..backend.jobs import JobView
from ..compat import label
from ..i18n import tr
from ..layers.preview import Preview, PreviewLayer, read_preview
from ..shared import Shared
from ..timing import inside_qgis, slot

SIDE = 120


class Picture(QWidget):
    """Draws a few pixels as large squares, whatever the theme."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.setObjectName(name)
        self.setFixedSize(QSize(SIDE, SIDE))
        self.image = QImage()

    def show_image(self, image: QImage, words: str, legend: str) -> None:
        """Draw this.

        Args:
            image: The pixels.
            words: What a screen reader tells.
            legend: The tooltip.
        """
        self.image = image
        self.setAccessibleName(words)
        self.setToolTip(legend)
        self.update()

    def paintEvent(self, _event: object) -> None:
        """The image, in its middle, and a frame around what it covers."""
        if self.image.isNull():
            return
        painter = QPainter(self)
        size = self.image.size().scaled(SIDE - 2, SIDE - 2, Qt.AspectRatioMode.KeepAspectRatio)
        place = QRect((SIDE - size.width()) // 2, (SIDE - size.height()) // 2, size.width(), size.height())
        painter.drawImage(place, self.image)
        painter.setPen(self.palette().color(self.palette().ColorRole.Mid))
        painter.drawRect(place.adjusted(-1, -1, 0, 0))
        painter.end()


class PreviewBox(QWidget):
    """Follows a training; hidden until there is something to see, and when the training has ended.

    Args:
        shared: What all pages share.
        name: Prefix of the object names.
    """

    def __init__(self, shared: Shared, name: str) -> None:
        super().__init__()
        self.setObjectName(f"{name}Preview")
        self._shared = shared
        self._title = ""
        self._wanted: Tuple[str, str, int] = ("", "", 0)
        self._preview: Optional[Preview] = None
        self._layer = PreviewLayer()
        self._busy = False
        self.caption = label("", f"{name}PreviewCaption", muted=True)
        self.pictures = [Picture(f"{name}Preview{part}") for part in ("Image", "Labels", "Map")]
        self.names = [
            label("", f"{name}Preview{part}Name", muted=True) for part in ("Image", "Labels", "Map")
        ]
        self.on_map = QCheckBox(tr("Show on the map"))
        self.on_map.setObjectName(f"{name}PreviewOnMap")
        self.on_map.setToolTip(
            tr("A layer that follows each better map; it goes when the training ends, and is not saved")
        )
        grid = QGridLayout()
        grid.setSpacing(4)
        for column, (picture, words) in enumerate(zip(self.pictures, self.names)):
            grid.addWidget(picture, 0, column)
            grid.addWidget(words, 1, column, Qt.AlignmentFlag.AlignTop)
            grid.setColumnStretch(column, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.caption)
        layout.addLayout(grid)
        layout.addWidget(self.on_map)
        self.on_map.toggled.connect(self._on_toggled)
        QgsProject.instance().layersRemoved.connect(self._on_removed)
        QgsProject.instance().writeProject.connect(self._on_project_written)
        QgsProject.instance().writeMapLayer.connect(self._on_layer_written)
        self.setVisible(False)

    def show_job(self, job: JobView) -> None:
        """Show what a job has told last."""
        path, number = ("", 0) if job.final else job.preview
        wanted = (job.id, path, number)
        if wanted == self._wanted:
            return
        if not path or job.id != self._wanted[0]:
            self.clear()
        self._wanted, self._title = wanted, job.name
        if path:
            self._shared.background.run(
                lambda: read_preview(Path(path)), lambda read: self._on_read(wanted, read), owner=self
            )

    def clear(self) -> None:
        """There is nothing to show now, here and on the map."""
        self._wanted, self._preview = ("", "", 0), None
        self.on_map.setChecked(False)
        self.setVisible(False)

    @slot
    def _on_read(self, wanted: Tuple[str, str, int], preview: Optional[Preview]) -> None:
        if preview is None or wanted != self._wanted:
            return  # it has ended, or a better one comes
        self._preview = preview
        self.caption.setText(
            tr(
                "The model does not learn from this piece. The map is of its best epoch so far, {epoch}.",
                epoch=preview.epoch,
            )
        )
        legend = _legend(preview)
        for picture, name, image, words, more in zip(
            self.pictures,
            self.names,
            (preview.image, preview.labels, preview.map),
            (tr("Image, {date}", date=preview.date), tr("Labels"), tr("Map")),
            ("", legend, legend),
        ):
            picture.show_image(image, words, more)
            name.setText(words)
        self.setVisible(True)
        if self.on_map.isChecked():
            self._layer.show(preview, self._title)

    @slot
    def _on_toggled(self, wanted: bool) -> None:
        if not wanted:
            self._busy = True
            self._layer.remove()
            self._busy = False
        elif self._preview is not None:
            self._layer.show(self._preview, self._title)
            self._show_place()

    def _show_place(self) -> None:
        """Bring the piece into sight, if it is not."""
        layer, canvas = self._layer.layer, self._shared.iface.mapCanvas()
        if layer is None or canvas is None:
            return
        with inside_qgis():
            place = canvas.mapSettings().layerExtentToOutputExtent(layer, layer.extent())
            if not canvas.extent().contains(place):
                canvas.setExtent(place.buffered(place.width() / 2))
                canvas.refresh()

    @slot
    def _on_removed(self) -> None:
        """The analyst has taken the layer away, or closed the project: it does not come again by itself."""
        if not self._busy and self.on_map.isChecked() and self._layer.layer is None:
            self.on_map.setChecked(False)

    @slot
    def _on_project_written(self, document: QDomDocument) -> None:
        self._layer.leave_out_of_tree(document)

    @slot
    def _on_layer_written(self, layer: QgsMapLayer, element: QDomElement) -> None:
        self._layer.leave_out(layer, element)


def _legend(preview: Preview) -> str:
    rows = [f'<span style="color:{color}">■</span> {html.escape(name)}' for _, name, color in preview.classes]
    return f"<p style='white-space:pre'>{'<br/>'.join(rows)}</p>"
