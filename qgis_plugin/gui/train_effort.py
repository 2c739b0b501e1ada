# SPDX-License-Identifier: GPL-3.0-or-later
"""One slider from a fast look to the best that a training can do; it sets what else stands under Advanced."""

from __future__ import annotations

from typing import Any, Dict, Mapping, NamedTuple, Tuple

from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtWidgets import QHBoxLayout, QSlider, QVBoxLayout, QWidget

from ..compat import caption, form_layout, label
from ..i18n import tr
from ..timing import slot

KEYS = ("model", "epochs", "patience", "zoom")
"""The parameters that it sets; all others are left as they are."""


class Stop(NamedTuple):
    """One stop: its name, what it sets where that is not the default, and what it means in words."""

    title: str
    values: Mapping[str, Any]
    words: str


# Times are those of small series on two processor cores (benchmarks/results/accuracy.json: the default takes
# about 2 minutes there); left out, the epochs are as many as take the same arithmetic on every series.
STOPS: Tuple[Stop, ...] = (
    Stop(
        tr("Fast look"),
        {"epochs": 15, "zoom": 1},
        tr("A minute or so: 15 passes of the tiny model at the images' own resolution. Shows whether the "
           "classes can be told apart at all."),
    ),
    Stop(
        tr("Balanced"),
        {},
        tr("A few minutes on a laptop: the tiny model, as many passes as that takes. Good for most maps."),
    ),
    Stop(
        tr("Thorough"),
        {"epochs": 200, "patience": 40},
        tr("Some times longer: up to 200 passes of the tiny model; it ends when 40 of them bring nothing."),
    ),
    Stop(
        tr("Best"),
        {"model": "timo_small", "epochs": 200, "patience": 40},
        tr("An hour or many without a GPU: up to 200 passes of the small model, which tells finer "
           "differences apart if there are many labels."),
    ),
)  # fmt: skip
CUSTOM = tr("Custom: the values under Advanced.")


class EffortBox(QWidget):
    """The slider, its stop's name and words."""

    chosen = pyqtSignal(dict)
    """What the stop sets: a value for each of KEYS that is not left to its default."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("timoTrainEffortBox")
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setObjectName("timoTrainEffort")
        self.slider.setRange(0, len(STOPS) - 1)
        self.slider.setPageStep(1)
        self.slider.setTickPosition(QSlider.TickPosition.TicksBelow)
        self.slider.setTickInterval(1)
        self.slider.setAccessibleName(tr("Effort"))
        self.slider.setToolTip(tr("How long the model may learn: from a fast look to the best map"))
        self.words = label("", "timoTrainEffortWords", muted=True)
        ends = QHBoxLayout()
        ends.addWidget(label(STOPS[0].title, "timoTrainEffortLeast", muted=True))
        right = label(STOPS[-1].title, "timoTrainEffortMost", muted=True)
        right.setAlignment(Qt.AlignmentFlag.AlignRight)
        ends.addWidget(right)
        middle = QVBoxLayout()
        middle.setSpacing(2)
        middle.addWidget(self.slider)
        middle.addLayout(ends)
        middle.addWidget(self.words)
        form = form_layout(self)
        form.setContentsMargins(0, 0, 0, 0)
        form.addRow(caption(tr("Effort"), top=True), middle)
        self.slider.valueChanged.connect(self._on_slider)
        self.slider.sliderReleased.connect(self._on_slider)
        self.custom = False
        self.show_values({}, {})

    def show_values(self, values: Mapping[str, Any], preset: Mapping[str, Any], size: str = "") -> None:
        """Stand where these values are a stop's; else say that they are the analyst's own.

        Args:
            values: What differs in the form from what is taken by itself.
            preset: What the chosen task sets in place of the defaults.
            size: The variant of the model that the training starts from, which stands in for the form's.
        """
        now = self._of({**preset, **values}, size)
        stops = [
            number for number, stop in enumerate(STOPS) if self._of({**preset, **stop.values}, size) == now
        ]
        at = self.slider.value()
        self.custom = not stops
        if stops and at not in stops:
            self.slider.blockSignals(True)
            self.slider.setValue(stops[0])
            self.slider.blockSignals(False)
            at = stops[0]
        stop = STOPS[at]
        self.words.setText(f"{stop.title}. {stop.words}" if stops else CUSTOM)

    @staticmethod
    def _of(values: Mapping[str, Any], size: str) -> Dict[str, Any]:
        return {key: values[key] for key in KEYS if key in values and not (size and key == "model")}

    @slot
    def _on_slider(self) -> None:
        if not self.slider.isSliderDown():
            self.chosen.emit(dict(STOPS[self.slider.value()].values))
