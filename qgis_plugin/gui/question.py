# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks before something is lost, without holding up the interface."""

from __future__ import annotations

from typing import Callable, Sequence

from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import QMessageBox, QWidget

from ..backend.job_rules import works_lost
from ..backend.jobs import JobView
from ..i18n import tr, trn
from ..timing import slot


def confirm(parent: QWidget, text: str, more: str, yes: str, done: Callable[[], None]) -> QMessageBox:
    """Ask, and do it where the analyst agrees; Escape and Enter keep things as they are.

    Args:
        parent: The widget that asks.
        text: The question.
        more: What comes of it.
        yes: The text of the button that agrees.
        done: Called then.
    """
    box = QMessageBox(parent)
    box.setObjectName("timoQuestion")
    box.setIcon(QMessageBox.Icon.Question)
    box.setTextFormat(Qt.TextFormat.PlainText)
    box.setText(text)
    box.setInformativeText(more)
    agree = box.addButton(yes, QMessageBox.ButtonRole.DestructiveRole)
    box.setDefaultButton(box.addButton(tr("Keep it"), QMessageBox.ButtonRole.RejectRole))

    @slot
    def answered(_result: int) -> None:
        if box.clickedButton() is agree:
            done()

    box.finished.connect(answered)
    box.finished.connect(box.deleteLater)
    box.open()
    return box


def confirm_cancel(parent: QWidget, jobs: Sequence[JobView], done: Callable[[], None]) -> None:
    """Ask before jobs are cancelled whose work would be lost; where there is none, do it."""
    lost = [job for job in jobs if works_lost(job)]
    if not lost:
        done()
        return
    confirm(
        parent,
        tr("Cancel {name}?", name=lost[0].name)
        if len(jobs) == 1
        else trn("Cancel {count} job?", "Cancel {count} jobs?", len(jobs)),
        trn(
            "It ends without a result. Try again, later, goes on from what it has kept by then.",
            "{count} have begun and end without a result. Try again, later, goes on from what was kept.",
            len(lost),
        ),
        tr("Cancel it") if len(jobs) == 1 else tr("Cancel them"),
        done,
    )
