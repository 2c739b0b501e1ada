# SPDX-License-Identifier: GPL-3.0-or-later
"""Areas and accuracies of a map's classes, corrected for its errors, with their standard errors.

The stratified estimators of Olofsson et al. (2014, doi 10.1016/j.rse.2014.02.015); strata are the mapped
classes. Equation numbers in this file are that paper's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Z95 = 1.96
"""Standard errors to either side of an estimate that make a 95 % interval."""


@dataclass(frozen=True)
class Stratified:
    """Estimates for the part of the map whose classes have samples; NaN where there is none.

    Attributes:
        sampled: (K,) bool, mapped classes with samples: the estimates are of their area alone.
        area: (K,) area of each class as the reference has it, in the unit of the mapped areas.
        area_se: (K,) standard error of it.
        overall, overall_se: Overall accuracy by area.
        users, users_se: (K,) share of a class's mapped area that is right.
        producers, producers_se: (K,) share of a class's true area that is mapped as such.
    """

    sampled: NDArray[np.bool_]
    area: NDArray[np.float64]
    area_se: NDArray[np.float64]
    overall: float
    overall_se: float
    users: NDArray[np.float64]
    users_se: NDArray[np.float64]
    producers: NDArray[np.float64]
    producers_se: NDArray[np.float64]


def stratified(matrix: ArrayLike, mapped_areas: ArrayLike) -> Stratified:
    """Estimate true areas from a map and a sample of reference labels.

    Args:
        matrix: (K, K) sampled pixels; rows are the reference, columns the map.
        mapped_areas: (K,) area of each class in the whole map, any unit.
    """
    counts = np.asarray(matrix, np.float64).T  # the paper's n_ij: i the map, j the reference
    mapped = np.asarray(mapped_areas, np.float64)
    size = counts.sum(1)
    sampled = (size > 0) & (mapped > 0)
    area_of = np.where(sampled, mapped, 0.0)
    weight = area_of / area_of.sum() if sampled.any() else area_of
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(sampled[:, None], counts / size[:, None], 0.0)
        # Of one sample the spread is not known: 0 / 0, and all that depends on it is NaN.
        spread = np.where(sampled[:, None], share * (1 - share) / (size[:, None] - 1), 0.0)
        area = area_of @ share  # eq. 9 and 11
        variance = area_of**2 @ spread  # eq. 10 and 11
        users, of_users = np.diagonal(share), np.diagonal(spread)
        producers = area_of * users / area  # eq. 3
        others = variance - area_of**2 * of_users
        own = area_of**2 * (1 - producers) ** 2 * of_users
        of_producers = (own + producers**2 * others) / area**2  # eq. 7
        return Stratified(
            sampled=sampled,
            area=area,
            area_se=np.sqrt(variance),
            overall=float(weight @ users) if sampled.any() else np.nan,  # eq. 1 and 4
            overall_se=float(np.sqrt(weight**2 @ of_users)) if sampled.any() else np.nan,  # eq. 5
            users=np.where(sampled, users, np.nan),
            users_se=np.where(sampled, np.sqrt(of_users), np.nan),  # eq. 6
            producers=producers,
            producers_se=np.sqrt(np.maximum(of_producers, 0)),
        )


def area_figures(
    matrix: ArrayLike, mapped_areas: ArrayLike, classes: Sequence[str], unit: str, method: str
) -> dict[str, Any]:
    """The estimates as JSON values: None where there is none, intervals as what is added and taken away.

    Args:
        matrix: See ``stratified``.
        mapped_areas: See ``stratified``.
        classes: (K,) names.
        unit: Of the areas.
        method: How pixels were measured, one sentence.
    """
    found = stratified(matrix, mapped_areas)
    mapped = np.asarray(mapped_areas, np.float64)
    unsampled = (mapped > 0) & ~found.sampled
    rows = [
        {
            "name": name,
            "mapped": float(mapped[k]),
            "sampled": bool(found.sampled[k]),
            "estimated": _known(found.area[k]) if found.sampled.any() else None,
            "interval95": _interval(found.area_se[k]) if found.sampled.any() else None,
            "users_accuracy": _known(found.users[k]),
            "users_accuracy_interval95": _interval(found.users_se[k]),
            "producers_accuracy": _known(found.producers[k]),
            "producers_accuracy_interval95": _interval(found.producers_se[k]),
        }
        for k, name in enumerate(classes)
    ]
    return {
        "unit": unit,
        "method": method,
        "mapped_total": float(mapped.sum()),
        "without_samples": float(mapped[unsampled].sum()),
        "overall_accuracy": _known(found.overall),
        "overall_accuracy_interval95": _interval(found.overall_se),
        "classes": rows,
    }


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _interval(standard_error: float) -> float | None:
    return _known(Z95 * standard_error)
