# SPDX-License-Identifier: GPL-3.0-or-later
"""From a task's schema to the parameters of its algorithm: same names, ranges, choices and defaults."""

from __future__ import annotations

from typing import Callable, Dict, Iterator, List

from qgis.core import (
    QgsProcessing,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterEnum,
    QgsProcessingParameterField,
    QgsProcessingParameterFile,
    QgsProcessingParameterFolderDestination,
    QgsProcessingParameterMapLayer,
    QgsProcessingParameterMultipleLayers,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterDestination,
    QgsProcessingParameterString,
    QgsProcessingParameterVectorDestination,
)

from ..i18n import tr
from ..schema import Parameter, parameters

LEFT_OUT = frozenset({"shard", "dry_run"})
"""They make no map that Processing could hand on: several machines' parts are for the command line."""

SERIES, SOURCE = "series", "series_source"
LABEL_FIELDS = frozenset({"class_field", "date_field"})
OUTPUTS = ("raster-out", "vector-out", "folder-out")
LAYERS = ("labels", "area", "polygons")

_Source = QgsProcessing.SourceType
_LAYER_TYPES: Dict[str, List[int]] = {
    "labels": [_Source.TypeVectorPolygon, _Source.TypeVectorPoint, _Source.TypeRaster],
    "area": [_Source.TypeVectorPolygon, _Source.TypeRaster],
    "polygons": [_Source.TypeVectorPolygon],
}


def asked(task: str) -> List[Parameter]:
    """The fields of a task that its algorithm asks for, in the order of its form."""
    return [parameter for parameter in parameters(task) if parameter.name not in LEFT_OUT]


def definitions(task: str) -> Iterator[QgsProcessingParameterDefinition]:
    """The parameters of a task's algorithm, new with each call; an algorithm owns what it is given."""
    for parameter in asked(task):
        yield _finished(parameter, _definition(parameter))
        if parameter.format == "series":
            yield _source()


def title(parameter: Parameter) -> str:
    """The caption, with the unit."""
    return f"{tr(parameter.title)} [{tr(parameter.unit)}]" if parameter.unit else tr(parameter.title)


def help_text(parameter: Parameter) -> str:
    """What the analyst needs to know of a parameter, in the words of layers."""
    if parameter.format == "series":
        return tr(
            "The raster layers of the dates. A layer's date is the one given in the panel TiMo, else that in "
            "its file's name, such as S2_20200715.tif."
        )
    if parameter.format == "area":
        return tr("Where the map is made: polygons, or a raster that is neither 0 nor nodata there.")
    if parameter.kind == "list":
        return f"{tr(parameter.help)} {tr('One in a line, or with ; between them.')}"
    return tr(parameter.help)


def source_title() -> str:
    """The caption of what may stand in place of layers."""
    return tr("Series as a folder or table")


def source_help() -> str:
    """What may stand in place of layers."""
    return tr(
        "In place of layers: a folder of dated rasters, a CSV with columns path,date, or a STAC search that "
        "was saved as .json."
    )


def _finished(
    parameter: Parameter, definition: QgsProcessingParameterDefinition
) -> QgsProcessingParameterDefinition:
    definition.setHelp(help_text(parameter))
    if parameter.advanced:
        flags = definition.flags() | QgsProcessingParameterDefinition.Flag.FlagAdvanced
        definition.setFlags(flags)
    return definition


def _definition(parameter: Parameter) -> QgsProcessingParameterDefinition:
    named = _BY_FORMAT.get(parameter.format)
    if named is not None:
        return named(parameter)
    if parameter.name in LABEL_FIELDS:
        return QgsProcessingParameterField(
            parameter.name,
            title(parameter),
            None,
            "labels",
            QgsProcessingParameterField.DataType.Any,
            False,
            parameter.optional,
        )
    return _BY_KIND[parameter.kind](parameter)


def _source() -> QgsProcessingParameterDefinition:
    """In place of layers: what the command line takes as a series."""
    definition = QgsProcessingParameterFile(
        SOURCE,
        source_title(),
        QgsProcessingParameterFile.Behavior.Folder,
        "",
        None,
        True,
    )
    definition.setHelp(source_help())
    return definition


def _layers(parameter: Parameter) -> QgsProcessingParameterDefinition:
    # Optional, as a folder may stand in its place: which of the two is there is checked before the run.
    return QgsProcessingParameterMultipleLayers(
        parameter.name, title(parameter), _Source.TypeRaster, None, True
    )


def _layer(parameter: Parameter) -> QgsProcessingParameterDefinition:
    return QgsProcessingParameterMapLayer(
        parameter.name, title(parameter), None, parameter.optional, _LAYER_TYPES[parameter.format]
    )


def _bundle(parameter: Parameter) -> QgsProcessingParameterDefinition:
    return QgsProcessingParameterFile(
        parameter.name,
        title(parameter),
        QgsProcessingParameterFile.Behavior.Folder,
        "",
        None,
        parameter.optional,
    )


def _raster_out(parameter: Parameter) -> QgsProcessingParameterDefinition:
    return QgsProcessingParameterRasterDestination(
        parameter.name, title(parameter), None, parameter.optional, not parameter.optional
    )


def _vector_out(parameter: Parameter) -> QgsProcessingParameterDefinition:
    return QgsProcessingParameterVectorDestination(
        parameter.name,
        title(parameter),
        _Source.TypeVectorPolygon,
        None,
        parameter.optional,
        not parameter.optional,
    )


def _folder_out(parameter: Parameter) -> QgsProcessingParameterDefinition:
    return QgsProcessingParameterFolderDestination(
        parameter.name, title(parameter), None, parameter.optional, not parameter.optional
    )


def _choice(parameter: Parameter) -> QgsProcessingParameterDefinition:
    # The choices' own names, as on the command line: a number would mean another one after a release.
    return QgsProcessingParameterEnum(
        parameter.name,
        title(parameter),
        list(parameter.choices),
        False,
        parameter.default,
        parameter.optional,
        True,
    )


def _number(parameter: Parameter) -> QgsProcessingParameterDefinition:
    kinds = QgsProcessingParameterNumber.Type
    definition = QgsProcessingParameterNumber(
        parameter.name,
        title(parameter),
        kinds.Integer if parameter.kind == "integer" else kinds.Double,
        parameter.default,
        parameter.optional,
    )
    if parameter.minimum is not None:
        definition.setMinimum(parameter.minimum)
    if parameter.maximum is not None:
        definition.setMaximum(parameter.maximum)
    return definition


def _boolean(parameter: Parameter) -> QgsProcessingParameterDefinition:
    return QgsProcessingParameterBoolean(parameter.name, title(parameter), bool(parameter.default))


def _text(parameter: Parameter) -> QgsProcessingParameterDefinition:
    lines = parameter.kind == "list"
    return QgsProcessingParameterString(
        parameter.name, title(parameter), None, lines, lines or parameter.optional
    )


_Maker = Callable[[Parameter], QgsProcessingParameterDefinition]
_BY_FORMAT: Dict[str, _Maker] = {
    "series": _layers,
    "bundle": _bundle,
    "raster-out": _raster_out,
    "vector-out": _vector_out,
    "folder-out": _folder_out,
    **dict.fromkeys(LAYERS, _layer),
}
_BY_KIND: Dict[str, _Maker] = {
    "choice": _choice,
    "integer": _number,
    "number": _number,
    "boolean": _boolean,
    "text": _text,
    "list": _text,
}
