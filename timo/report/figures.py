# SPDX-License-Identifier: GPL-3.0-or-later
"""The report's plots, each as a ``data:`` URI of an SVG: sharp at any size, and within the page."""

from __future__ import annotations

import base64
import io
import logging
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.image import imsave
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from timo.report.words import THIN

logging.getLogger("matplotlib").setLevel(logging.ERROR)  # what it says of fonts helps no analyst

INK, SOFT, LINE = "#1d2429", "#5b666e", "#d9dfe3"
BLUE, VERMILION = "#0072b2", "#d55e00"
"""Of Okabe and Ito: told apart by colour-blind eyes, too."""

MOST_NUMBERS = 16
"""Classes whose confusion matrix has room for numbers."""
LONGEST_NAME = 26

_STYLE: Any = {
    "axes.edgecolor": SOFT,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "font.family": ["sans-serif"],
    "font.sans-serif": ["DejaVu Sans", "Verdana"],
    "font.size": 10,
    "svg.fonttype": "none",  # text stays text: the reader's fonts have the letters of more languages
    "svg.hashsalt": "timo",  # the same figure, the same bytes
    "text.color": INK,
    "text.parse_math": False,  # a name may have a dollar sign
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
}
_GREENS = LinearSegmentedColormap.from_list("greens", ["#ffffff", "#7cc4ac", "#00674c"])
_ERRORS = LinearSegmentedColormap.from_list("errors", ["#56b4e9", "#f0e442", VERMILION])
RIGHT_COLOR, WRONG_COLOR = "#56b4e9", VERMILION


def _drawn(width: float, height: float, draw: Callable[[Figure], None]) -> str:
    """A figure of so many inches as an SVG."""
    with matplotlib.rc_context(_STYLE), warnings.catch_warnings():
        # Letters that the font here lacks: the reader's fonts have them.
        warnings.filterwarnings("ignore", "Glyph .* missing")
        figure = Figure(figsize=(width, height), layout="constrained")
        draw(figure)
        return _uri(figure)


def _uri(figure: Figure) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return f"data:image/svg+xml;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _short(name: str) -> str:
    """A name that has room beside an axis, without what an SVG can't hold."""
    name = "".join(letter if letter.isprintable() else " " for letter in name)
    return name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…"


def confusion_matrix(matrix: Sequence[Sequence[int]], names: Sequence[str], colors: Sequence[str]) -> str:
    """Each class's labelled pixels, in percent, by what they are mapped as."""
    counts = np.asarray(matrix, np.float64)
    total = counts.sum(1, keepdims=True)
    share = np.divide(counts, total, out=np.zeros_like(counts), where=total > 0)
    K = len(names)
    cell = 0.62 if K <= MOST_NUMBERS else max(0.07, 9 / K)
    size = 8 if K > MOST_NUMBERS else 10

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        axes.imshow(share, cmap=_GREENS, vmin=0, vmax=1)
        if K <= MOST_NUMBERS:
            for i in range(K):
                for j in range(K):
                    if counts[i, j]:
                        shown = f"{share[i, j] * 100:.0f}" if share[i, j] >= 0.005 else "<1"
                        axes.text(j, i, shown, ha="center", va="center",
                                  color="white" if share[i, j] > 0.6 else INK)  # fmt: skip
        if K <= 60:
            labels = [_short(name) for name in names]
            axes.set_xticks(range(K), labels, rotation=40, ha="right", rotation_mode="anchor", fontsize=size)
            axes.set_yticks(range(K), labels, fontsize=size)
            for k, color in enumerate(colors):
                axes.plot([-0.5, -0.5], [k - 0.45, k + 0.45], color=color, linewidth=5, clip_on=False,
                          solid_capstyle="butt")  # fmt: skip
                axes.plot([k - 0.45, k + 0.45], [K - 0.5, K - 0.5], color=color, linewidth=5, clip_on=False,
                          solid_capstyle="butt")  # fmt: skip
        else:
            axes.set_xticks([])
            axes.set_yticks([])
        axes.set_xlim(-0.5, K - 0.5)
        axes.set_ylim(K - 0.5, -0.5)
        axes.tick_params(length=0, pad=6)
        axes.spines[:].set_visible(False)
        axes.set_xlabel("mapped as")
        axes.set_ylabel("labelled as")

    longest = max(len(_short(name)) for name in names) if K <= 60 else 0
    side = cell * K + 0.6 + 0.075 * longest
    return _drawn(max(side, 2.8), max(side - 0.02 * longest, 2.4), draw)


def class_accuracy(per_class: Sequence[Mapping[str, Any]], colors: Sequence[str]) -> str:
    """User's accuracy, producer's accuracy and F1 of every class, as marks on a line."""
    marks = (
        ("users_accuracy", "user's accuracy", ">", "white"),
        ("producers_accuracy", "producer's accuracy", "<", "white"),
        ("f1", "F1", "o", None),
    )

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        rows = np.arange(len(per_class))
        for key, label, marker, face in marks:
            values = [math.nan if row[key] is None else row[key] for row in per_class]
            fill = list(colors) if face is None else face
            axes.scatter(values, rows, s=70 if face is None else 48, marker=marker, c=fill, edgecolors=INK,
                         linewidths=1.1, label=label, zorder=3)  # fmt: skip
        for k, row in enumerate(per_class):
            known = [row[key] for key, *_ in marks if row[key] is not None]
            if known:
                axes.plot([min(known), max(known)], [k, k], color=SOFT, linewidth=1.2, zorder=2)
        axes.set_yticks(rows, [_short(str(row["name"])) for row in per_class])
        axes.set_ylim(len(per_class) - 0.5, -0.5)
        axes.set_xlim(-0.02, 1.02)
        _percent_axis(axes)
        axes.grid(axis="both", color=LINE, zorder=0)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        legend = figure.legend(loc="outside upper left", ncols=3, frameon=False, handletextpad=0.2)
        for handle in legend.legend_handles:
            if handle is not None and handle.get_label() == "F1":
                handle.set_facecolor(SOFT)  # type: ignore[attr-defined]  # of many colours in the plot

    return _drawn(7.4, 1.2 + 0.36 * len(per_class), draw)


def reliability(calibration: Mapping[str, Any]) -> str:
    """How often the map is right at each confidence, above how many pixels have it."""
    bins = [row for row in calibration["bins"] if row["pixels"]]
    left = np.array([row["from"] for row in bins])
    width = np.array([row["to"] - row["from"] for row in bins])
    share = np.array([row["pixels"] for row in bins]) / max(sum(row["pixels"] for row in bins), 1)

    def draw(figure: Figure) -> None:
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        above.plot([0, 1], [0, 1], color=SOFT, linestyle="--", linewidth=1.2, label="as sure as it is right")
        above.plot([row["confidence"] for row in bins], [row["accuracy"] for row in bins], color=BLUE,
                   marker="o", markersize=6, linewidth=1.6, label="this map")  # fmt: skip
        above.set_ylabel("right")
        above.set_ylim(0, 1.02)
        above.legend(frameon=False, loc="upper left")
        below.bar(left, share, width * 0.92, align="edge", color=BLUE, alpha=0.55)
        below.set_ylabel("pixels")
        below.set_xlabel("confidence")
        below.set_xlim(0, 1.01)
        for axes in (above, below):
            axes.grid(color=LINE)
            axes.set_axisbelow(True)
            axes.tick_params(length=0)
            axes.yaxis.set_major_formatter(lambda value, _: f"{value * 100:.0f} %")
        _percent_axis(below)

    return _drawn(5.4, 5.2, draw)


def area_bars(classes: Sequence[Mapping[str, Any]], colors: Sequence[str], unit: str) -> str:
    """Mapped areas, and those corrected for the map's errors with their 95 % intervals."""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for k, (row, color) in enumerate(zip(classes, colors, strict=True)):
            axes.barh(k, row["mapped"], 0.56, color=color, edgecolor=INK, linewidth=0.6, zorder=2,
                      label="mapped" if k == 0 else None)  # fmt: skip
            if row["estimated"] is not None:
                axes.errorbar(row["estimated"], k, xerr=row["interval95"], fmt="D", color=INK, markersize=5.5,
                              markerfacecolor="white", capsize=4, zorder=3,
                              label="corrected for errors" if k == 0 else None)  # fmt: skip
        axes.set_yticks(range(len(classes)), [_short(str(row["name"])) for row in classes])
        axes.set_ylim(len(classes) - 0.5, -0.5)
        axes.set_xlim(left=0)
        axes.set_xlabel(unit)
        axes.xaxis.set_major_locator(MaxNLocator(6))
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.10g}".replace(",", THIN))
        axes.grid(axis="x", color=LINE, zorder=0)
        axes.tick_params(length=0)
        figure.legend(loc="outside upper left", ncols=2, frameon=False)

    return _drawn(7.4, 1.3 + 0.38 * len(classes), draw)


def error_map(wrong: NDArray[np.float64]) -> str:
    """A PNG of the share of each cell's labels that is wrong, a pixel a cell; grey where there is none."""
    colors = (_ERRORS(np.nan_to_num(wrong)) * 255).round().astype(np.uint8)
    colors[np.isnan(wrong)] = (238, 241, 242, 255)
    return picture(colors)


def picture(colors: NDArray[np.uint8]) -> str:
    """A PNG of (H, W, 3 or 4) colours, 0 to 255."""
    buffer = io.BytesIO()
    imsave(buffer, colors, format="png")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def reconstruction(
    there: NDArray[np.float32], seen: NDArray[np.bool_], filled: NDArray[np.float32], dates: Sequence[str]
) -> str:
    """What is there, what of it a masked autoencoder saw, and what it makes of that, below one another.

    All three are shown in the same colours: by band, from the darkest of what is there to what is bright on
    most dates.

    Args:
        there: (T, 3 or 1, H, W) values of the bands that are shown as red, green and blue, or as grey.
        seen: (T, H, W) bool.
        filled: Like ``there``: the model's values where it saw nothing.
        dates: (T,) what stands above each column.
    """
    low, high = np.percentile(there, (2, 98), axis=(2, 3), keepdims=True)  # T C 1 1
    low, high = (
        low.min(0),
        np.median(high, axis=0),
    )  # a bright date, as of clouds, leaves the others dark else
    spread = np.maximum(high - low, 1e-6)

    def colors(values: NDArray[np.float32]) -> NDArray[np.float64]:
        shown = ((values - low) / spread).clip(0, 1).transpose(0, 2, 3, 1)
        return np.broadcast_to(shown, (*shown.shape[:3], 3))

    truth = colors(there)
    hidden = np.where(seen[..., None], truth, np.array(to_rgb(LINE)))
    rows = (("there", truth), ("seen", hidden), ("filled in", colors(np.where(seen[:, None], there, filled))))

    def draw(figure: Figure) -> None:
        panels = figure.subplots(len(rows), len(dates), squeeze=False)
        for of_row, (name, frames) in zip(panels, rows, strict=True):
            for panel, frame in zip(of_row, frames, strict=True):
                panel.imshow(frame, interpolation="none")  # pixels stay pixels at any size
                panel.set_xticks([])
                panel.set_yticks([])
                panel.spines[:].set(visible=True, color=LINE)
            of_row[0].set_ylabel(name)
        for panel, date in zip(panels[0], dates, strict=True):
            panel.set_title(date, fontweight="normal", fontsize=10)

    return _drawn(0.4 + 1.9 * len(dates), 0.3 + 1.9 * len(rows), draw)


def curves(history: Sequence[Mapping[str, float | None]], best: int) -> str:
    """Each figure of a training by epoch, the best epoch marked.

    Args:
        history: One row an epoch; keys such as ``train_loss``, ``val_loss`` and ``val_miou``.
        best: The epoch that was kept, from 1.
    """
    groups: dict[str, list[str]] = {}
    for row in history:
        for key in row:
            of = groups.setdefault(key.partition("_")[2] or key, [])
            if key not in of:
                of.append(key)
    columns = min(len(groups), 3) or 1
    rows = max(math.ceil(len(groups) / columns), 1)
    epochs = np.arange(1, len(history) + 1)

    def draw(figure: Figure) -> None:
        panels = figure.subplots(rows, columns, squeeze=False).ravel()
        for panel in panels[len(groups) :]:
            panel.set_visible(False)
        for panel, (name, keys) in zip(panels, groups.items(), strict=False):
            for key in keys:
                values = np.array([row.get(key) for row in history], np.float64)  # None becomes NaN
                training = key.startswith("train")
                panel.plot(epochs, values, color=BLUE if training else VERMILION, linewidth=1.7,
                           linestyle="--" if training else "-", marker="o" if len(epochs) < 3 else None,
                           label="training" if training else "validation")  # fmt: skip
                if not training and 1 <= best <= len(history) and np.isfinite(values[best - 1]):
                    panel.plot(best, values[best - 1], "o", color=VERMILION, markersize=7,
                               markeredgecolor=INK)  # fmt: skip
            if 1 <= best <= len(history):
                panel.axvline(best, color=SOFT, linewidth=1, linestyle=":")
            panel.set_title(_TITLES.get(name, name.replace("_", " ").capitalize()), loc="left")
            panel.set_xlabel("epoch")
            panel.xaxis.set_major_locator(MaxNLocator(5, integer=True))
            panel.grid(color=LINE)
            panel.tick_params(length=0)
            if len(keys) > 1:
                panel.legend(frameon=False)

    return _drawn(3.3 * columns, 2.7 * rows, draw)


_TITLES = {
    "loss": "Loss",
    "accuracy": "Overall accuracy",
    "miou": "Mean IoU",
    "macro_f1": "Macro F1",
    "f1": "Macro F1",
    "kappa": "Kappa",
}


def _percent_axis(axes: Axes) -> None:
    axes.xaxis.set_major_formatter(lambda value, _: f"{value * 100:.0f} %")
