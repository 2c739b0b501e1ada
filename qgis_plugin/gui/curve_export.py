# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes a curve along: its picture and its values, into the clipboard or a file."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Callable, Mapping

from qgis.PyQt.QtGui import QGuiApplication
from qgis.PyQt.QtWidgets import QFileDialog, QWidget

from ..backend.points import Points
from ..i18n import tr
from ..layers.sources import safe_name
from ..log import log
from ..timing import slot


def table(metrics: Mapping[str, Points]) -> str:
    """The curves as CSV: a row an epoch, a column a metric; empty where a metric has no value."""
    columns = {name: dict(points) for name, points in metrics.items()}
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["epoch", *columns])
    for step in sorted({step for points in columns.values() for step in points}):
        writer.writerow([step, *(points.get(step, "") for points in columns.values())])
    return text.getvalue()


@slot
def copy_picture(widget: QWidget) -> None:
    """Put the picture into the clipboard."""
    QGuiApplication.clipboard().setPixmap(widget.grab())


@slot
def copy_values(metrics: Mapping[str, Points]) -> None:
    """Put the table into the clipboard."""
    QGuiApplication.clipboard().setText(table(metrics))


@slot
def ask_picture(widget: QWidget, title: str) -> None:
    """Ask for a file, and write the picture to it."""
    picture = widget.grab()

    def write(path: Path) -> None:
        if not picture.save(str(path), "PNG"):
            raise OSError(tr("the folder cannot be written to"))

    ask(widget, tr("Save the picture"), f"{safe_name(title or 'curve')}.png", tr("Picture (*.png)"), write)


@slot
def ask_values(widget: QWidget, title: str, metrics: Mapping[str, Points]) -> None:
    """Ask for a file, and write the table to it."""
    text = table(metrics)

    def write(path: Path) -> None:
        path.write_text(text, encoding="utf-8")

    ask(widget, tr("Save the values"), f"{safe_name(title or 'curve')}.csv", tr("Table (*.csv)"), write)


def ask(parent: QWidget, title: str, name: str, kinds: str, write: Callable[[Path], None]) -> QFileDialog:
    """Ask for a file without holding up the interface, and write to it; a file that is there is asked for.

    Args:
        parent: The widget that asks.
        title: The dialog's.
        name: What the file is called, unless the analyst says otherwise.
        kinds: As for ``QFileDialog``, of one kind.
        write: Writes the file; raises OSError where it cannot.
    """
    dialog = QFileDialog(parent, title, str(Path.home() / name), kinds)
    dialog.setObjectName("timoSaveDialog")
    dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
    dialog.setDefaultSuffix(Path(name).suffix.lstrip("."))

    @slot
    def chosen(path: str) -> None:
        try:
            write(Path(path))
        except OSError as error:
            why = error.strerror or error
            log(tr("{path} cannot be written: {why}.", path=path, why=why), "warning", push=True)

    dialog.fileSelected.connect(chosen)
    dialog.finished.connect(dialog.deleteLater)
    dialog.open()
    return dialog
