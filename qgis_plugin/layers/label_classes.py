# SPDX-License-Identifier: GPL-3.0-or-later
"""The classes of a labels layer: their names and colours, kept as its value map and its categorised style."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import islice
from typing import Any, Dict, Iterable, Iterator, List, Sequence

from qgis.core import (
    QgsCategorizedSymbolRenderer,
    QgsEditorWidgetSetup,
    QgsRendererCategory,
    QgsSymbol,
    QgsVectorLayer,
)
from qgis.PyQt.QtGui import QColor

from ..compat import is_null
from ..i18n import tr

COLOR_PROPERTY = "timo/colors"
"""Custom property of a labels layer with no categorised style: the colours chosen for its classes."""
MOST_CLASSES = 254
MOST_COLORS = 2000  # to look through for one that is free

# The first colours of the library's own palette (timo/series/palette.py).
FIRST_COLORS = ("#009e73", "#e69f00", "#56b4e9", "#cc79a7", "#f0e442", "#0072b2", "#d55e00")
# What usual classes look like on a map; all others take the palette's next colour.
USUAL_COLORS = {
    "forest": "#1b7837", "cleared": "#d7301f", "grassland": "#a6d96a", "cropland": "#e6c35c",
    "water": "#2b8cbe", "built-up": "#c51b7d", "bare": "#b08d6a", "winter cereals": "#e6c35c",
    "summer cereals": "#b8a030", "maize": "#f46d43", "dry": "#c2a878", "flooded": "#2b6cff",
    "other": "#969696",
}  # fmt: skip


@dataclass(frozen=True)
class LabelClass:
    """One class: its name, which is the field's value, and its colour (#rrggbb)."""

    name: str
    color: str


def class_name(value: object) -> str:
    """The class that an attribute's value names; empty if it names none."""
    if is_null(value):
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()


def next_color(taken: Iterable[str]) -> str:
    """A colour that none of these is: the palette's, then others all around the colour wheel."""
    used = {color.lower() for color in taken}
    return next((color for color in _palette() if color not in used), FIRST_COLORS[0])


def _palette() -> Iterator[str]:
    yield from FIRST_COLORS
    for step in range(1, MOST_COLORS):  # the golden angle comes back to where it was only after many
        yield QColor.fromHsv(int(step * 137.508) % 360, 150 + step % 3 * 50, 215 - step % 4 * 30).name()


def with_colors(names: Iterable[str], chosen: Dict[str, str]) -> Dict[str, str]:
    """A colour for each class: the chosen one, else the usual one of its name, else the palette's next.

    A field with more values than a map can have classes is refused in words (``too_many``): those beyond
    get no colours.
    """
    first = list(islice(names, MOST_CLASSES))
    taken = {color.lower() for color in islice(chosen.values(), MOST_CLASSES)}
    taken |= {chosen[name].lower() for name in first if name in chosen}
    colors, found = _palette(), {}
    for name in first:
        usual = USUAL_COLORS.get(name.lower(), "")
        color = chosen.get(name) or (usual if usual not in taken else "")
        found[name] = color or next((one for one in colors if one not in taken), FIRST_COLORS[0])
        taken.add(found[name].lower())
    return found


def too_many(count: int) -> str:
    """Why so many values of a field are no classes, in a sentence that says what to do; empty if they are."""
    if count <= MOST_CLASSES:
        return ""
    return tr(
        "This field has {count} different values, and a map can have {most} classes: pick the field that "
        "holds the class.",
        count=count, most=MOST_CLASSES,
    )  # fmt: skip


def parse_list(text: str) -> List[LabelClass]:
    """Classes of a pasted list: one a line, or separated by semicolons; a colour may follow as ``#rrggbb``.

    Lines of a table (tabs, commas) are taken by their first column that is no number. A name counts once.
    Those beyond the most that a map can have are there without colours.
    """
    chosen: Dict[str, str] = {}
    for line in re.split(r"[\n;]+", text):
        parts = [part.strip().strip("\"'") for part in re.split(r"[\t,=]+|\s+(?=#)", line)]
        colors = [part.lower() for part in parts if re.fullmatch(r"#[0-9A-Fa-f]{6}", part)]
        words = [part for part in parts if part and part.lower() not in colors]
        name = next((word for word in words if not re.fullmatch(r"[\d.]+", word)), words[0] if words else "")
        if name:
            chosen.setdefault(name, colors[0] if colors else "")
    colors = with_colors(chosen, {n: c for n, c in chosen.items() if c})
    return [LabelClass(name, colors.get(name, "")) for name in chosen]


def colors(layer: QgsVectorLayer, field: str) -> Dict[str, str]:
    """The colours (#rrggbb) chosen for classes.

    They are of the layer's style if it is categorised by this field, else those picked on the Train page.
    """
    if not _categorised(layer, field):
        return _kept(layer)
    found: Dict[str, str] = {}
    for category in layer.renderer().categories():
        for value in _values(category):
            if class_name(value):
                found[class_name(value)] = category.symbol().color().name()
    return found


def set_color(layer: QgsVectorLayer, field: str, name: str, color: str) -> None:
    """Give a class a colour: in the layer's style if it is categorised by this field, else beside it."""
    if not _categorised(layer, field):
        layer.setCustomProperty(
            COLOR_PROPERTY, [f"{n}={c}" for n, c in {**_kept(layer), name: color}.items()]
        )
        return
    renderer = layer.renderer().clone()
    for number, category in enumerate(renderer.categories()):
        if name in map(class_name, _values(category)):
            symbol = category.symbol().clone()
            symbol.setColor(QColor(color))
            renderer.updateCategorySymbol(number, symbol)
            break
    else:
        renderer.addCategory(_category(layer, LabelClass(name, color)))
    layer.setRenderer(renderer)
    layer.triggerRepaint()
    layer.emitStyleChanged()


def value_map(layer: QgsVectorLayer, field: str) -> Dict[str, str]:
    """What a labels layer shows to its editor by the class; empty if its field has no list."""
    setup = layer.editorWidgetSetup(layer.fields().lookupField(field))
    if setup.type() != "ValueMap":
        return {}
    entries: Any = setup.config().get("map") or []
    pairs = [
        pair for entry in (entries if isinstance(entries, list) else [entries]) for pair in entry.items()
    ]
    return {
        class_name(value): str(text)
        for text, value in pairs
        if class_name(value) and "{2839923C" not in str(value)
    }


def offered(layer: QgsVectorLayer, field: str) -> List[str]:
    """Names of the classes that a labels layer offers to its editor; none if its field has no list."""
    return list(value_map(layer, field))


def read_scheme(layer: QgsVectorLayer, field: str) -> List[LabelClass]:
    """The classes that ``offered`` names, with their colours."""
    names = offered(layer, field)
    return [LabelClass(n, c) for n, c in with_colors(names, colors(layer, field)).items()]


def write_scheme(layer: QgsVectorLayer, field: str, classes: Sequence[LabelClass]) -> None:
    """Let the class field be filled from a list of these classes, and draw the layer in their colours.

    The list's last choice is offered again for the next feature. No feature is changed.
    """
    index = layer.fields().lookupField(field)
    entries = [{one.name: one.name} for one in classes]
    layer.setEditorWidgetSetup(index, QgsEditorWidgetSetup("ValueMap", {"map": entries}))
    form = layer.editFormConfig()
    form.setReuseLastValue(index, True)
    layer.setEditFormConfig(form)
    layer.setRenderer(QgsCategorizedSymbolRenderer(field, [_category(layer, one) for one in classes]))
    layer.triggerRepaint()
    layer.emitStyleChanged()


def _category(layer: QgsVectorLayer, one: LabelClass) -> QgsRendererCategory:
    symbol = QgsSymbol.defaultSymbol(layer.geometryType())
    symbol.setColor(QColor(one.color))
    symbol.setOpacity(0.7)  # the image stays to be seen beneath
    return QgsRendererCategory(one.name, symbol, one.name)


def _categorised(layer: QgsVectorLayer, field: str) -> bool:
    renderer = layer.renderer()
    return (
        isinstance(renderer, QgsCategorizedSymbolRenderer) and renderer.classAttribute().strip('"') == field
    )


def _values(category: QgsRendererCategory) -> List[Any]:
    return category.value() if isinstance(category.value(), list) else [category.value()]


def _kept(layer: QgsVectorLayer) -> Dict[str, str]:
    pairs = layer.customProperty(COLOR_PROPERTY) or []
    entries = [pairs] if isinstance(pairs, str) else list(pairs)
    return {name: color for name, _, color in (str(entry).rpartition("=") for entry in entries) if name}
