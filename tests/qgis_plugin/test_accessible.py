# SPDX-License-Identifier: GPL-3.0-or-later
"""Every page can be used by keyboard and with a screen reader."""

from __future__ import annotations

import pytest
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSpinBox,
    QComboBox,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QTabBar,
    QWidget,
)

USED = (*(QAbstractButton, QAbstractItemView, QAbstractSpinBox, QComboBox, QLineEdit, QPlainTextEdit),)
COMPOUND = {"QgsFilterLineEdit", "QgsFileWidget", "QgsCollapsibleGroupBox"}


def inner_part(widget):
    """Whether it is a part of another widget, such as the line of a spin box."""
    parent = widget.parent()
    while isinstance(parent, QWidget):
        if isinstance(parent, (QAbstractSpinBox, QComboBox, QTabBar, QAbstractItemView)):
            return True
        if any(kind.__name__ in COMPOUND for kind in type(parent).__mro__):
            return True
        parent = parent.parent()
    return False


def has_name(widget, buddies):
    text = widget.text() if isinstance(widget, QAbstractButton) else ""
    return bool(widget.accessibleName() or text or widget in buddies)


@pytest.mark.parametrize("page", ["series", "train", "predict", "jobs", "banner"])
def test_all_that_can_be_used_has_a_name_for_a_screen_reader(dock, page):
    root = getattr(dock, page)
    buddies = [label.buddy() for label in root.findChildren(QLabel) if label.buddy() is not None]
    nameless = [
        f"{type(widget).__name__} {widget.objectName()}"
        for kind in USED
        for widget in root.findChildren(kind)
        if not inner_part(widget) and not has_name(widget, buddies)
    ]
    assert not nameless


@pytest.mark.parametrize("page", ["series", "train", "predict", "jobs"])
def test_all_that_can_be_used_can_be_reached_by_keyboard(dock, page):
    root = getattr(dock, page)
    unreachable = [
        f"{type(widget).__name__} {widget.objectName()}"
        for kind in (QAbstractButton, QAbstractSpinBox, QComboBox, QLineEdit)
        for widget in root.findChildren(kind)
        if not inner_part(widget) and not widget.focusPolicy() & Qt.FocusPolicy.TabFocus
    ]
    assert not unreachable
