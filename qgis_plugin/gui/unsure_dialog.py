# SPDX-License-Identifier: GPL-3.0-or-later
"""Where is it unsure: asks how many places to label next, finds them, and says what to do with them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, List, Mapping, Sequence

from qgis.core import QgsProject
from qgis.gui import QgsSpinBox
from qgis.PyQt.QtWidgets import QCheckBox, QWidget

from ..compat import caption, form_layout, label
from ..i18n import tr, trn
from ..layers import labels
from ..layers.label_parts import LabelPart
from ..layers.provenance import relatives, spec_of
from ..layers.raster_blocks import RasterError, Tick, opened, same_grid
from ..layers.result_files import CONFIDENCE, MAP, PROBABILITIES, Classes, Result, read_result
from ..layers.sources import unique_path
from ..layers.unsure_layer import CLASS_FIELD, places_layer, write_places
from ..log import log
from ..models import training_of
from ..settings import writable
from ..shared import Shared
from ..timing import inside_qgis, slot
from .task_dialog import TaskDialog
from .train_labels import LabelsBox


@dataclass(frozen=True)
class Found:
    """What was found.

    Attributes:
        path: The layer's file.
        count: The places in it.
        classes: Of the map.
        spec: Of the training of the map's model; empty where it is not known.
        moved: Whether the map lies on another grid than its confidence: it was exported.
    """

    path: Path
    count: int
    classes: Classes
    spec: Mapping[str, Any]
    moved: bool = False


class UnsureDialog(TaskDialog):
    """Makes a layer of points where the model is least sure.

    Args:
        shared: What all pages share.
        result: A map, its confidence or its probabilities.
        box: What the Train page learns from: the points are added to it.
        train: Opens the Train page.
        parent: The window above which it stands.
    """

    def __init__(
        self,
        shared: Shared,
        result: Result,
        box: LabelsBox,
        train: Callable[[], None],
        parent: QWidget,
    ) -> None:
        super().__init__(
            "timoUnsure",
            tr("Where is it unsure?"),
            tr(
                "Labels at places where the model is unsure teach it most. They come as points, the least "
                "sure first; you give each its class and train again, with the former labels and these."
            ),
            tr("Find places"),
            "results",
            parent,
        )
        self._shared, self._result, self._labels, self._train = shared, result, box, train
        self.count = QgsSpinBox()
        self.count.setObjectName("timoUnsureCount")
        self.count.setRange(1, 1000)
        self.count.setClearValue(20)
        self.count.setValue(20)
        self.count.setToolTip(tr("How many places to find"))
        self.distance = QgsSpinBox()
        self.distance.setObjectName("timoUnsureDistance")
        self.distance.setRange(1, 100000)
        self.distance.setClearValue(20)
        self.distance.setValue(20)
        self.distance.setSuffix(tr(" pixels"))
        self.distance.setToolTip(tr("No two places are nearer to each other than this"))
        self.each = QCheckBox(tr("Take the mapped classes in turn"))
        self.each.setObjectName("timoUnsureEach")
        self.each.setToolTip(tr("Rare classes have their share of the places, too"))
        self.each.setChecked(True)
        form = form_layout()
        form.addRow(caption(tr("Map")), label(result.path.name, "timoUnsureMap"))
        for title, widget in ((tr("Places"), self.count), (tr("Apart by"), self.distance)):
            text = caption(title)
            text.setBuddy(widget)
            form.addRow(text, widget)
        form.addRow(caption(""), self.each)
        self.body.addLayout(form)
        self.body.addStretch(1)
        self.setMinimumWidth(420)

    def begin(self) -> None:
        """Look for the places."""
        result, count, distance, each = (
            self._result,
            self.count.value(),
            self.distance.value(),
            self.each.isChecked(),
        )
        self.work(
            tr("Where is {name} unsure?", name=result.path.name),
            lambda tick: _find(result, count, distance, each, tick),
            self._on_found,
        )

    @slot
    def _on_found(self, found: Found) -> None:
        layer = places_layer(found.path, found.classes, found.path.stem)
        if not layer.isValid():
            self.tell(tr("{name} cannot be opened.", name=found.path.name))
            return
        former = labels.parts_of(found.spec) or self._chosen(found.classes)
        project, canvas = QgsProject.instance(), self._shared.iface.mapCanvas()
        with inside_qgis():
            project.addMapLayer(layer, False)
            project.layerTreeRoot().insertLayer(0, layer)
            self._shared.iface.setActiveLayer(layer)
            canvas.zoomToFeatureIds(layer, [1])  # the first of the file is the least sure
        # At once: the message with its button is gone long before all points have a class.
        self._labels.use_all([*former, LabelPart(layer, CLASS_FIELD)])
        others = [part.layer.name() for part in self._labels.parts() if part.layer.id() != layer.id()]
        log(
            _words(found, layer.name(), others),
            "success",
            push=True,
            button=tr("Open the Train page"),
            pressed=self._train,
        )
        self.accept()

    def _chosen(self, classes: Classes) -> List[LabelPart]:
        """The Train page's labels, unless they are of other things: none of their classes is in the map."""
        counts, mapped = self._labels.counts, {name for _, name, _ in classes}
        of_others = bool(counts) and bool(mapped) and not mapped & set(counts or {})
        return [] if of_others else self._labels.parts()


def _words(found: Found, name: str, others: Sequence[str]) -> str:
    """What was made, and what comes next."""
    made = trn(
        "{count} place is in layer '{name}': start editing, click it with the Identify tool and pick its "
        "class.",
        "{count} places are in layer '{name}', the least sure first: start editing and pick each one's "
        "class.",
        found.count,
        name=name,
    )
    moved = tr("Map and confidence differ in their grids: the places lie where both have data.")
    then = (
        tr(
            "The Train page learns from {labels} and these points together.",
            labels=", ".join(f"'{one}'" for one in others),
        )
        if others
        else tr("Then train with these points and your other labels: tick both on the Train page.")
    )
    return " ".join([made, *([moved] if found.moved else []), then])


def _find(result: Result, count: int, distance: int, each: bool, tick: Tick) -> Found:
    """In a thread of its own: what is found, written beside the map if it can be."""
    from ..layers.unsure import most_unsure  # loads numpy, which takes a while

    family = relatives(result)
    source = family.get(CONFIDENCE) or family.get(PROBABILITIES)
    if source is None:
        raise RasterError(
            tr(
                "{name} has neither confidence nor probabilities: predict again, with Confidence ticked.",
                name=result.path.name,
            )
        )
    mapped = read_result(MAP, family[MAP]) if MAP in family else None
    places = most_unsure(
        source, count, distance, mapped.path if mapped else None, each and mapped is not None, tick
    )
    if not places:
        raise RasterError(tr("{name} has no data at all: there is nothing to label.", name=source.name))
    classes = mapped.classes if mapped else ()
    beside = mapped.path if mapped else source
    dataset = opened(source)
    reference = dataset.GetSpatialRef()
    wkt = reference.ExportToWkt() if reference is not None else ""
    path = unique_path(writable(beside.parent), f"{beside.stem}-unsure", ".gpkg")
    model = spec_of(result.tags).get("model")
    spec = training_of(Path(str(model))) if model else {}
    moved = mapped is not None and not same_grid(dataset, opened(mapped.path))
    return Found(write_places(path, places, classes, wkt), len(places), classes, spec, moved)
