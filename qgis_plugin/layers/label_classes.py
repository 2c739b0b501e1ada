# SPDX-License-Identifier: GPL-3.0-or-later
"""The classes of a labels layer: their names and colours, kept as its value map and its categorised style."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Dict, Iterable, Iterator, List, Mapping, Sequence, Set, Tuple, Union

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
    """One class.

    Attributes:
        color: #rrggbb.
        value: What the field holds of it now; empty if it is not in the layer yet.
    """

    name: str
    color: str
    value: str = ""


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
            renderer.updateCategorySymbol(number, _recolored(category, color))
            break
    else:
        renderer.addCategory(_category(layer, field, LabelClass(name, color)))
    layer.setRenderer(renderer)
    layer.triggerRepaint()
    layer.emitStyleChanged()


def value_map(layer: QgsVectorLayer, field: str) -> Dict[str, str]:
    """What a labels layer shows to its editor by the class; empty if its field has no list."""
    return {class_name(value): text for text, value in _entries(layer, field) if _is_class(value)}


def names_told(layer: QgsVectorLayer, field: str) -> Dict[str, str]:
    """What a labels layer calls the classes that its field holds as codes; nothing if two have one name.

    Its list of values tells it, or else the legend of a style that is categorised by the field.

    Args:
        layer: The labels.
        field: Holds the class.
    """
    found = value_map(layer, field) or _legend(layer, field)
    told = {value: text.strip() for value, text in found.items() if text.strip()}
    if len(set(told.values())) < len(told):
        return {}
    return {value: text for value, text in told.items() if text != value and "=" not in value}


def _legend(layer: QgsVectorLayer, field: str) -> Dict[str, str]:
    if not _categorised(layer, field):
        return {}
    categories = [(_values(one), one.label()) for one in layer.renderer().categories()]
    return {class_name(of[0]): text for of, text in categories if len(of) == 1 and class_name(of[0])}


def offered(layer: QgsVectorLayer, field: str) -> List[str]:
    """The classes that a labels layer offers to its editor; none if its field has no list."""
    return list(value_map(layer, field))


def is_coded(layer: QgsVectorLayer, field: str) -> bool:
    """Whether the field holds codes, which stay when a class is renamed: numbers, or what a list names."""
    return _is_numeric(layer, field) or any(v != text for v, text in value_map(layer, field).items())


def read_scheme(
    layer: QgsVectorLayer, field: str, values: Iterable[str], shown: Mapping[str, str]
) -> List[LabelClass]:
    """The classes that ``offered`` names, then others, by the names and colours that the layer gives them.

    Args:
        layer: The labels.
        field: Holds the class.
        values: What the features have in it.
        shown: Colours by value of those that the layer gives none.
    """
    told, drawn = value_map(layer, field), colors(layer, field)
    styled = drawn if _categorised(layer, field) else {}
    found = with_colors([*told, *sorted({*values, *styled} - set(told))], {**shown, **drawn})
    return [LabelClass(told.get(value, value), color, value) for value, color in found.items()]


def write_scheme(
    layer: QgsVectorLayer, field: str, classes: Sequence[LabelClass], taken: Iterable[str] = ()
) -> None:
    """Let the class field be filled from a list of these classes, and draw the layer in their colours.

    The list's last choice is offered again for the next feature. No feature is changed. Of a style that the
    analyst has made, only colours and names change; beside one of another kind the colours are kept.

    Args:
        layer: The labels.
        field: Holds the class.
        classes: Codes stay as they are; else the name becomes the field's value.
        taken: Values that features have, which no new class may get.
    """
    index, told = layer.fields().lookupField(field), value_map(layer, field)
    written = _with_values(layer, field, classes, taken)
    kept = [{text: value} for text, value in _entries(layer, field) if not _is_class(value)]
    entries = [*kept, *({one.name: one.value} for one in written)]
    layer.setEditorWidgetSetup(index, QgsEditorWidgetSetup("ValueMap", {"map": entries}))
    form = layer.editFormConfig()
    form.setReuseLastValue(index, True)
    layer.setEditFormConfig(form)
    if _categorised(layer, field):
        now = {old.value or new.value: new for old, new in zip(classes, written)}
        layer.setRenderer(_adapted(layer, field, now, told))
    elif layer.renderer() is None or layer.renderer().type() == "singleSymbol":
        made = [_category(layer, field, one) for one in written]
        layer.setRenderer(QgsCategorizedSymbolRenderer(field, made))
    else:
        layer.setCustomProperty(COLOR_PROPERTY, [f"{one.value}={one.color}" for one in written])
    layer.triggerRepaint()
    layer.emitStyleChanged()


def _with_values(
    layer: QgsVectorLayer, field: str, classes: Sequence[LabelClass], taken: Iterable[str]
) -> List[LabelClass]:
    """What the field holds of each class: of a new one among codes, that of its name or the next number."""
    if not is_coded(layer, field):
        return [replace(one, value=one.name) for one in classes]
    told = value_map(layer, field)
    used = {one.value for one in classes}
    named = {text.casefold(): value for value, text in told.items() if value not in used}
    known = {*taken, *told, *used} - {""}
    numbers = _is_numeric(layer, field) or all(map(is_number, known))
    if _is_numeric(layer, field):  # not all features are looked at elsewhere
        known.add(class_name(layer.maximumValue(layer.fields().lookupField(field))))
    found = []
    for one in classes:
        value = one.value or named.get(one.name.casefold(), "")
        if not value and (not numbers or (is_number(one.name) and one.name not in known)):
            value = one.name
        value = value or str(max((int(code) for code in known if is_number(code)), default=0) + 1)
        known.add(value)
        found.append(replace(one, value=value))
    return found


def _adapted(
    layer: QgsVectorLayer, field: str, now: Mapping[str, LabelClass], told: Mapping[str, str]
) -> QgsCategorizedSymbolRenderer:
    """The layer's own categories with what was changed.

    Args:
        layer: The labels.
        field: Holds the class.
        now: The classes by their former value.
        told: What each value was called.
    """
    renderer = layer.renderer().clone()
    drawn: Set[str] = set()
    for number, category in reversed(list(enumerate(renderer.categories()))):
        values = [class_name(value) for value in _values(category)]
        found = [now[value] for value in values if value in now]
        drawn.update(value for value in values if value in now)
        if any(values) and not found:
            renderer.deleteCategory(number)
            continue
        color = category.symbol().color().name()
        other = next((one.color for one in found if one.color != color), "")
        if other:
            renderer.updateCategorySymbol(number, _recolored(category, other))
        if [one.value for one in found] != [value for value in values if value]:
            left = [_typed(layer, field, one.value) for one in found]
            renderer.updateCategoryValue(number, left if isinstance(category.value(), list) else left[0])
        if len(found) == len(values) == 1 and found[0].name != told.get(values[0], values[0]):
            renderer.updateCategoryLabel(number, found[0].name)
    for value, one in now.items():
        if value not in drawn:
            renderer.addCategory(_category(layer, field, one))
    return renderer


def _recolored(category: QgsRendererCategory, color: str) -> QgsSymbol:
    symbol = category.symbol().clone()
    symbol.setColor(QColor(color))
    return symbol


def _category(layer: QgsVectorLayer, field: str, one: LabelClass) -> QgsRendererCategory:
    symbol = QgsSymbol.defaultSymbol(layer.geometryType())
    symbol.setColor(QColor(one.color))
    symbol.setOpacity(0.7)  # the image stays to be seen beneath
    return QgsRendererCategory(_typed(layer, field, one.value or one.name), symbol, one.name)


def _typed(layer: QgsVectorLayer, field: str, value: str) -> Union[int, str]:
    return int(value) if _is_numeric(layer, field) and is_number(value) else value


def _is_numeric(layer: QgsVectorLayer, field: str) -> bool:
    index = layer.fields().lookupField(field)
    return index >= 0 and bool(layer.fields().at(index).isNumeric())


def is_number(value: str) -> bool:
    """Whether a class is a whole number."""
    return value.lstrip("-").isdecimal()


def _is_class(value: Any) -> bool:
    """Whether an entry of a list of values is a class: QGIS has a value that stands for none."""
    return bool(class_name(value)) and "{2839923C" not in str(value)


def _entries(layer: QgsVectorLayer, field: str) -> List[Tuple[str, Any]]:
    """What a field's list shows, and the values; none if it has no list."""
    setup = layer.editorWidgetSetup(layer.fields().lookupField(field))
    if setup.type() != "ValueMap":
        return []
    entries: Any = setup.config().get("map") or []
    maps = entries if isinstance(entries, list) else [entries]
    return [(str(text), value) for entry in maps for text, value in entry.items()]


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
