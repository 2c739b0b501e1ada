# SPDX-License-Identifier: GPL-3.0-or-later
"""A form made from a task's parameters: each as the widget that fits it, the advanced ones folded away."""

from __future__ import annotations

from functools import partial
from typing import Any, Callable, Collection, Dict, Mapping, Optional, Sequence, Tuple

from qgis.core import QgsMapLayer
from qgis.gui import QgsCollapsibleGroupBox, QgsDoubleSpinBox, QgsFieldComboBox, QgsSpinBox
from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import QCheckBox, QComboBox, QFormLayout, QLineEdit, QVBoxLayout, QWidget

from .._client.presets import PRESETS
from ..compat import caption, form_layout, label, plain
from ..i18n import tr
from ..schema import Parameter
from ..timing import slot
from .reveal import reveal

# The words an analyst reads for a value, in the order of the list. What is not here is shown as it is.
WORDS: Dict[str, Tuple[str, str]] = {
    "timo_tiny": (
        tr("Tiny"),
        tr("A first look in minutes, on any computer. Good for few, clearly different classes."),
    ),
    "timo_small": (tr("Small"), tr("Finer differences; some times slower than Tiny. A GPU helps.")),
    "timo_base": (tr("Base"), tr("The size of the published TiMo paper. Needs a GPU and many labels.")),
    "deforestation": (tr("Deforestation"), tr("Where forest was cleared. Needs 2 dates or more.")),
    "land_cover": (tr("Land cover"), tr("Forest, water, built-up and the like, from one date or more.")),
    "crops": (tr("Crops"), tr("What grows on each field. Needs a growing season, a date or more a month.")),
    "flood": (tr("Flood"), tr("What water covers after an event. Needs a date before and one after.")),
    "pixels": (tr("Every pixel"), ""),
    "chips": (tr("Squares as large as a chip"), ""),
    "all": (tr("The whole model"), ""),
    "head": (tr("The head alone"), ""),
    "lora": (tr("Head and adapters (LoRA)"), ""),
    "none": (tr("None"), ""),
    "light": (tr("Light"), ""),
    "strong": (tr("Strong"), ""),
    "root": (tr("Some: the root of how rare a class is"), ""),
    "full": (tr("Full: as if all were as frequent"), ""),
    "auto": (tr("Automatic"), tr("The GPU where there is one, else the processor.")),
    "cpu": (tr("Processor (CPU)"), ""),
    "cuda": (tr("NVIDIA GPU (CUDA)"), ""),
    "mps": (tr("Apple GPU (Metal)"), ""),
}


# Parameters that name a field of the labels.
FIELDS = ("date_field", "split_field")


class SpecForm(QWidget):
    """Widgets for some parameters of a task.

    Args:
        name: Prefix of the object names: a parameter's widget is ``NAME_parameter``.
        parameters: What it asks for.
        values: What was chosen last time.
    """

    changed = pyqtSignal()

    def __init__(self, name: str, parameters: Sequence[Parameter], values: Mapping[str, Any]) -> None:
        super().__init__()
        self.setObjectName(name)
        self._widgets: Dict[str, Tuple[Parameter, QWidget]] = {}
        self._fields: Dict[str, str] = {}
        """The fields that the analyst picked, also while the layer has none of the name."""
        self._task = ""
        """The chosen preset, whose settings stand in for the defaults."""
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        plain_ones = [p for p in parameters if not p.advanced]
        if plain_ones:
            form = form_layout()
            whole.addLayout(form)
            for parameter in plain_ones:
                self._add(form, name, parameter, explain=True)
        self.between = QVBoxLayout()
        """Room for a page's own widgets, before the advanced ones."""
        whole.addLayout(self.between)
        advanced = [p for p in parameters if p.advanced]
        if advanced:
            box = QgsCollapsibleGroupBox(tr("Advanced"))
            box.setObjectName(f"{name}Advanced")
            box.setSaveCollapsedState(False)
            box.setCollapsed(True)
            form = form_layout(box)
            whole.addWidget(box)
            for parameter in advanced:
                self._add(form, name, parameter, explain=False)
        self.set_values(values)

    def values(self) -> Dict[str, Any]:
        """What differs from what is taken by itself, ready for a spec; without what is not asked for now."""
        found = {
            name: _read(parameter, widget)
            for name, (parameter, widget) in self._widgets.items()
            if widget.isEnabledTo(self)
        }
        return {name: value for name, value in found.items() if value != self._default(name)}

    def set_values(self, values: Mapping[str, Any], only: Optional[Collection[str]] = None) -> None:
        """Show these values, and of all others what is taken by itself.

        Args:
            values: By parameter.
            only: The parameters that are written; all, if left out.
        """
        for name, (parameter, widget) in self._widgets.items():  # the preset comes first
            if only is not None and name not in only:
                continue
            if name in FIELDS:
                self._fields[name] = str(values.get(name) or "")
            _write(parameter, widget, values.get(name, self._default(name)))

    def preset_settings(self) -> Mapping[str, Any]:
        """What the chosen preset sets in place of the defaults."""
        return PRESETS[self._task].settings if self._task in PRESETS else {}

    def offer_fields(self, layer: Optional[QgsMapLayer]) -> None:
        """Let fields be picked from this layer; one that was picked stays where the layer has it."""
        for name in FIELDS:
            if name in self._widgets:
                box = self._widgets[name][1]
                box.setLayer(layer)
                box.setField(self._fields.get(name, ""))

    def ask(self, name: str, on: bool) -> None:
        """Whether a parameter has a meaning beside the others that are chosen."""
        self._widgets[name][1].setEnabled(on)

    def places(self) -> Dict[str, Callable[[], None]]:
        """What brings each parameter into view, by its name; and ``setting``, which brings the whole form."""
        found = {name: partial(reveal, widget) for name, (_, widget) in self._widgets.items()}
        return {**found, "setting": partial(reveal, self)}

    def _default(self, name: str) -> Any:
        return self.preset_settings().get(name, self._widgets[name][0].default)

    def _add(self, form: QFormLayout, prefix: str, parameter: Parameter, *, explain: bool) -> None:
        widget, signal = _make(parameter)
        widget.setObjectName(f"{prefix}_{parameter.name}")
        widget.setToolTip(plain(tr(parameter.help)))
        widget.setAccessibleName(tr(parameter.title))
        if parameter.name == "preset":
            signal.connect(self._on_preset)
        signal.connect(self._on_change)
        if parameter.name in FIELDS:
            self._keep_field(parameter.name, widget)
        self._widgets[parameter.name] = (parameter, widget)
        form.addRow(caption("" if parameter.kind == "boolean" else tr(parameter.title)), widget)
        if explain:
            help_text = label(tr(parameter.help), f"{prefix}_{parameter.name}Help", muted=True)
            form.addRow(caption(""), help_text)
            if isinstance(widget, QComboBox):
                self._explain_choice(widget, parameter, help_text)

    def _keep_field(self, name: str, box: QgsFieldComboBox) -> None:
        @slot
        def keep() -> None:
            self._fields[name] = box.currentField()

        box.activated.connect(keep)

    def _explain_choice(self, widget: QComboBox, parameter: Parameter, help_text: QWidget) -> None:
        """The help of the chosen value, with the parameter's own as the tool tip."""

        @slot
        def explain() -> None:
            help_text.setText(WORDS.get(widget.currentData(), ("", ""))[1] or tr(parameter.help))

        widget.currentIndexChanged.connect(explain)
        explain()

    @slot
    def _on_preset(self) -> None:
        """Show what it sets in place of what the last one set; what the analyst changed stays."""
        changed, before = self.values(), self.preset_settings()
        self._task = self._widgets["preset"][1].currentData() or ""
        self.set_values(changed, {*before, *self.preset_settings()})

    @slot
    def _on_change(self) -> None:
        self.changed.emit()


def _make(parameter: Parameter) -> Tuple[QWidget, Any]:
    """The widget for a parameter, and its signal of change."""
    if parameter.name in FIELDS:
        fields = QgsFieldComboBox()
        fields.setAllowEmptyFieldName(True)
        return fields, fields.fieldChanged
    if parameter.kind == "choice":
        combo = QComboBox()
        if parameter.optional:
            combo.addItem(tr("Any other"), None)
        known = [value for value in WORDS if value in parameter.choices]
        for value in [*known, *(c for c in parameter.choices if c not in known)]:
            combo.addItem(WORDS.get(value, (value, ""))[0], value)
        return combo, combo.currentIndexChanged
    if parameter.kind == "boolean":
        box = QCheckBox(tr(parameter.title))
        return box, box.toggled
    if parameter.kind == "integer":
        return _integer(parameter)
    if parameter.kind == "number":
        double = QgsDoubleSpinBox()
        double.setDecimals(5 if float(parameter.default or 1) < 0.01 else 2)
        double.setRange(float(parameter.minimum or 0), float(parameter.maximum or 1e9))
        double.setSingleStep(float(parameter.default or 1) / 5)
        double.setClearValue(float(parameter.default or 0))
        return double, double.valueChanged
    line = QLineEdit()
    return line, line.textChanged


def _integer(parameter: Parameter) -> Tuple[QWidget, Any]:
    spin = QgsSpinBox()
    lowest = int(parameter.minimum) if parameter.minimum is not None else -(2**31)
    step = int(parameter.step)
    # One step below the range stands for "left out".
    spin.setRange(lowest - step if parameter.optional else lowest, int(parameter.maximum or 2**31 - 1))
    spin.setSingleStep(step)
    if parameter.unit:
        spin.setSuffix(f" {tr(parameter.unit)}")
    if parameter.optional:
        spin.setSpecialValueText(tr("Automatic"))
        spin.setClearValue(lowest - step, tr("Automatic"))
    else:
        spin.setClearValue(int(parameter.default or lowest))
    return spin, spin.valueChanged


def _read(parameter: Parameter, widget: Any) -> Any:
    if parameter.name in FIELDS:
        return widget.currentField() or None
    if parameter.kind == "choice":
        return widget.currentData()
    if parameter.kind == "boolean":
        return widget.isChecked()
    if parameter.kind == "integer":
        value = widget.value()
        if parameter.optional and value == widget.minimum():
            return None
        step = int(parameter.step)
        return value - value % step if step > 1 else value
    if parameter.kind == "number":
        return widget.value()
    return widget.text().strip() or None


def _write(parameter: Parameter, widget: Any, value: Any) -> None:
    if parameter.name in FIELDS:
        widget.setField(str(value or ""))
    elif parameter.kind == "choice":
        widget.setCurrentIndex(max(0, widget.findData(value)))
    elif parameter.kind == "boolean":
        widget.setChecked(bool(value))
    elif parameter.kind == "integer":
        widget.setValue(widget.minimum() if value is None else int(value))
    elif parameter.kind == "number":
        widget.setValue(float(value or 0))
    else:
        widget.setText(str(value or ""))
