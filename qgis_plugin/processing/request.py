# SPDX-License-Identifier: GPL-3.0-or-later
"""From an algorithm's parameter values to the spec of a job, with what is wrong said before it runs."""

from __future__ import annotations

import re
import uuid
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Union

from qgis.core import (
    QgsMapLayer,
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsVectorLayer,
)

from .._client.presets import PRESETS
from ..compat import is_null
from ..i18n import tr
from ..layers import frames, label_classes, labels
from ..layers.checks import two_nodata
from ..layers.layer_copy import COPIES, CopyError, LayerCopy
from ..layers.raster_blocks import StoppedError
from ..layers.result_files import is_dated
from ..layers.series_file import write_series
from ..layers.series_store import Series
from ..layers.sources import layer_file, safe_name, unique_path
from ..models import CARD
from ..schema import Parameter, parameters
from ..settings import Settings, unwritable
from .definitions import LABEL_FIELDS, LAYERS, OUTPUTS, SERIES, SOURCE, asked, title
from .series_layers import SeriesLayers

Values = Mapping[str, Any]
DATES = "per_date"
"""The output whose folder may hold other files."""
REPORT = "report.json"
"""What a folder holds that is a report."""
_NO_FILE = re.compile(r"[*?\[]|://")


@dataclass
class Request:
    """A job that is wanted: its spec, and what must be written before it can be submitted.

    Attributes:
        spec: What differs from the task's defaults.
        layers: Those of the series; None where it is a folder or a table.
        copies: Layers whose file does not hold what they show, by parameter.
    """

    spec: Dict[str, Any] = field(default_factory=dict)
    layers: Optional[SeriesLayers] = None
    copies: Dict[str, LayerCopy] = field(default_factory=dict)

    def write(self, settings: Settings, feedback: QgsProcessingFeedback) -> Dict[str, Any]:
        """Write the series' table and the copies into the home; the complete spec.

        Raises:
            QgsProcessingException: A layer's file does not do, or they cannot be written: one sentence.
        """
        spec = dict(self.spec)
        _tell_preset(spec, feedback)
        try:
            if self.layers is not None:
                name, rows = Path(str(spec.get("out", SERIES))).stem, self.layers.rows()
                for row in rows:
                    if row.recalled:
                        feedback.pushInfo(frames.recalled((row,), row.name))
                double = two_nodata(rows)
                if double:
                    feedback.pushWarning(double)
                spec[SERIES] = [str(write_series(rows, Series(name), settings.subfolder("series"), name))]
            for parameter, copy in self.copies.items():
                file = f"{safe_name(copy.name)}-{uuid.uuid4().hex[:8]}.gpkg"
                path = settings.subfolder(COPIES) / file
                _write(copy, path, feedback)
                spec[parameter] = str(path)
        except OSError as error:
            raise QgsProcessingException(unwritable(error)) from error
        return spec


def _tell_preset(spec: Mapping[str, Any], feedback: QgsProcessingFeedback) -> None:
    """What the task sets in place of the defaults, which a form of Processing shows all the same."""
    preset = PRESETS.get(str(spec.get("preset") or ""))
    titles = {parameter.name: tr(parameter.title) for parameter in parameters("finetune")}
    sets = {name: value for name, value in (preset.settings if preset else {}).items() if name not in spec}
    if preset is not None and sets:
        told = tr("It also sets: {settings}; what you change under Advanced counts more.",
                  settings=", ".join(f"{titles[name]} {value}" for name, value in sets.items()))  # fmt: skip
        feedback.pushInfo(f"{tr(preset.title)}. {told}")


def read_inputs(
    algorithm: QgsProcessingAlgorithm, task: str, values: Values, context: QgsProcessingContext
) -> Request:
    """Everything but the outputs. Layers are looked at: to be called where that is allowed.

    Raises:
        QgsProcessingException: Naming the parameter or layer at fault, in one sentence.
    """
    reader = _Reader(algorithm, values, context)
    request = Request()
    reader.read_series(request)
    for parameter in asked(task):
        if parameter.format in LAYERS:
            reader.read_layer(parameter, request)
        elif parameter.format not in ("series", *OUTPUTS):
            value = reader.value(parameter)
            if value is not None and value != parameter.default:
                request.spec[parameter.name] = value
    return request


def read_outputs(
    algorithm: QgsProcessingAlgorithm, task: str, values: Values, context: QgsProcessingContext
) -> Dict[str, str]:
    """Absolute paths of what shall be written, by parameter. The context is told which to load."""
    found = {}
    for parameter in asked(task):
        if parameter.format == "folder-out":
            path = algorithm.parameterAsString(values, parameter.name, context)
        elif parameter.format in OUTPUTS:
            path = algorithm.parameterAsOutputLayer(values, parameter.name, context)
        else:
            continue
        if path:
            found[parameter.name] = str(Path(path).absolute())
    return found


def why_not_outputs(task: str, outputs: Mapping[str, str]) -> str:
    """Why these may not be written, in one sentence; empty if they may."""
    titles = {parameter.name: title(parameter) for parameter in asked(task)}
    for name, path in outputs.items():
        why = _why_taken(titles[name], Path(path), Path(outputs.get("out", "")).stem if name == DATES else "")
        if why:
            return why
    twice = [name for name, path in outputs.items() if list(outputs.values()).count(path) > 1]
    if twice:
        return tr("{title}: give each output a name of its own.", title=titles[twice[0]])
    return ""


def make_way(task: str, outputs: Mapping[str, str]) -> None:
    """Remove the empty folder that browsing gave: the backend makes a model's or a report's itself."""
    for parameter in asked(task):
        if parameter.format == "folder-out" and parameter.name in outputs and parameter.name != DATES:
            with suppress(OSError):  # there is none, or it has content: the backend says so
                Path(outputs[parameter.name]).rmdir()


def _why_taken(name: str, path: Path, dated: str) -> str:
    """Why an output may not stand here: a folder that browsing gave is there, and may be all the same.

    Args:
        name: The output's title.
        path: Where it shall stand.
        dated: Of the folder for maps of each date, what they are named like.
    """
    taken: Optional[Path] = path if path.exists() else None
    try:
        empty = path.is_dir() and not any(path.iterdir())
    except OSError as error:
        return unwritable(error)
    if path.is_dir() and dated:
        taken = next((file for file in sorted(path.glob("*.tif")) if is_dated(file.stem, dated)), None)
    elif empty:
        taken = None
    elif path.is_dir() and not any((path / own).is_file() for own in (CARD, REPORT)):
        return tr(
            "{title}: the folder {folder} holds other things. Name a new one, such as {free}.",
            title=name,
            folder=path,
            free=unique_path(path, name),
        )
    if taken is None:
        return ""
    return tr(
        "{title}: {path} exists already. Give it another name, or choose Overwrite under the "
        "advanced parameters.",
        title=name,
        path=taken,
    )


class _Reader:
    """Values of one call."""

    def __init__(
        self, algorithm: QgsProcessingAlgorithm, values: Values, context: QgsProcessingContext
    ) -> None:
        self._algorithm, self._values, self._context = algorithm, values, context

    def read_series(self, request: Request) -> None:
        source = self._algorithm.parameterAsString(self._values, SOURCE, self._context).strip()
        layers = self._algorithm.parameterAsLayerList(self._values, SERIES, self._context)
        if source and layers:
            raise QgsProcessingException(
                tr("Give the series as layers, or as a folder or table: not as both.")
            )
        if source:
            request.spec[SERIES] = [_existing(source)]
        elif layers:
            request.layers = SeriesLayers(layers)
        else:
            raise QgsProcessingException(
                tr("There is no series: pick its dated raster layers, or a folder or table of them.")
            )

    def read_layer(self, parameter: Parameter, request: Request) -> None:
        if is_null(self._values.get(parameter.name)) or self._values[parameter.name] == "":
            if parameter.optional:
                return
            raise QgsProcessingException(tr("{title}: pick a layer.", title=title(parameter)))
        layer = self._algorithm.parameterAsLayer(self._values, parameter.name, self._context)
        if layer is None:
            raise QgsProcessingException(
                tr("{title}: there is no such layer, pick another one.", title=title(parameter))
            )
        fields = [self._text(name) for name in LABEL_FIELDS] if parameter.format == "labels" else []
        fields += [self._text("split_field")] if parameter.format in ("labels", "polygons") else []
        if parameter.format == "labels" and isinstance(layer, QgsVectorLayer):
            self._check_fields(layer)
            colors = label_classes.colors(layer, self._text("class_field"))
            if colors and self._algorithm.parameterDefinition("colors") is not None:
                request.spec["colors"] = [f"{name}={color}" for name, color in colors.items()]
            called = label_classes.names_told(layer, self._text("class_field"))
            if called:
                request.spec["names"] = [f"{value}={name}" for value, name in called.items()]
        fields = [name for name in fields if name]
        if isinstance(layer, QgsVectorLayer) and labels.why_copy(layer, False, fields):
            request.copies[parameter.name] = LayerCopy(layer, fields)
        else:
            request.spec[parameter.name] = _file(layer)

    def value(self, parameter: Parameter) -> Optional[Union[str, int, float, bool, List[str]]]:
        """A plain value; None where it is left out."""
        name, algorithm = parameter.name, self._algorithm
        if is_null(self._values.get(name)) or self._values[name] == "":
            return None
        read = {
            "integer": algorithm.parameterAsInt,
            "number": algorithm.parameterAsDouble,
            "boolean": algorithm.parameterAsBool,
            "choice": algorithm.parameterAsEnumString,
        }.get(parameter.kind, algorithm.parameterAsString)
        value = read(self._values, name, self._context)
        if parameter.kind == "list":
            return [line.strip() for line in re.split(r"[;\n]", value) if line.strip()] or None
        if parameter.format == "bundle":
            return _bundle(parameter, value)
        if parameter.kind == "integer" and value % int(parameter.step):
            raise QgsProcessingException(
                tr("{title}: take a multiple of {step}.", title=title(parameter), step=int(parameter.step))
            )
        return None if value == "" else value

    def _check_fields(self, layer: QgsVectorLayer) -> None:
        """The fields that are named are there, and that of the class is named."""
        for name in sorted(LABEL_FIELDS):
            field_name = self._text(name)
            if field_name and layer.fields().lookupField(field_name) < 0:
                raise QgsProcessingException(
                    tr("Layer '{layer}' has no field '{field}': pick one that it has.",
                       layer=layer.name(), field=field_name)
                )  # fmt: skip
        if not self._text("class_field"):
            raise QgsProcessingException(
                tr("Pick the field of layer '{layer}' that holds the class.", layer=layer.name())
            )

    def _text(self, name: str) -> str:
        if self._algorithm.parameterDefinition(name) is None:
            return ""
        return str(self._algorithm.parameterAsString(self._values, name, self._context) or "")


def _write(copy: LayerCopy, path: Path, feedback: QgsProcessingFeedback) -> None:
    try:
        copy.write(path, lambda _: not feedback.isCanceled())
    except StoppedError as stopped:
        raise QgsProcessingException(tr("It was stopped.")) from stopped
    except CopyError as error:
        raise QgsProcessingException(str(error)) from error


def _file(layer: QgsMapLayer) -> str:
    path = layer_file(layer)
    if path is None:
        raise QgsProcessingException(
            tr("Layer '{name}' is no file that the backend could read: save it as one.", name=layer.name())
        )
    return str(path.absolute())


def _existing(source: str) -> str:
    if _NO_FILE.search(source):
        return source if "://" in source else str(Path(source).absolute())
    if not Path(source).exists():
        raise QgsProcessingException(tr("There is no {path}: pick the series again.", path=source))
    return str(Path(source).absolute())


def _bundle(parameter: Parameter, text: str) -> Optional[str]:
    if not text.strip():
        return None
    folder = Path(text.strip()).absolute()
    if not (folder / CARD).is_file():
        raise QgsProcessingException(
            tr("{title}: {folder} holds no {card}: pick the folder of a TiMo model.",
               title=title(parameter), folder=folder, card=CARD)
        )  # fmt: skip
    return str(folder)
