# SPDX-License-Identifier: GPL-3.0-or-later
"""Chips of series without labels, of differing sensors and lengths, as batches for pre-training."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch

from timo.series.prepared import PreparedSeries
from timo.series.transforms import Augmentation, Orientation
from timo.training.data import Batch, made_ahead

STEPS = 32  # of an epoch: there is no natural length of a pass over chips that lie anywhere
JUDGED = 16  # batches


class UnlabelledChips:
    """Implements ``timo.training.engine.Chips``: windows anywhere, all chips of a batch from one place.

    Each source is as likely as the root of its pixels of all dates says: small ones are seen too, and one
    that is cut into many places is seen no more often for that.

    Args:
        series: Of each place.
        sources: For each place, the number of the source that it is of.
        bands: For each place, where each of its bands stands among the model's.
        count: The model's bands C.
        dates: The most dates of a chip: of longer series some are drawn.
        chip: Side of a chip, in pixels.
        batch: Chips a step.
        seed: With an epoch's number it decides that epoch's chips.
    """

    steps = STEPS

    def __init__(
        self,
        series: Sequence[PreparedSeries],
        sources: Sequence[int],
        bands: Sequence[Sequence[int]],
        *,
        count: int,
        dates: int,
        chip: int,
        batch: int,
        seed: int,
    ) -> None:
        self._series, self._bands, self._count = series, bands, count
        self._dates, self._chip, self._batch, self._seed = dates, chip, batch, seed
        sizes = [len(one.series) * one.series.grid.width * one.series.grid.height for one in series]
        share = np.array(sizes, np.float64)
        for source in set(sources):
            of_it = np.equal(sources, source)
            share[of_it] /= np.sqrt(share[of_it].sum())
        self._share = share / share.sum()
        self._augmentation = Augmentation(gain=0.05, offset=0.05)

    def epoch(self, number: int, first: int = 0, *, all_labels: bool = False) -> Iterator[Batch]:
        """Chips drawn at random; without the first so many batches."""
        return made_ahead(lambda step: self._draw(number, step)[1], range(first, self.steps))

    def validation(self) -> Iterable[Batch]:
        """Chips that are always the same; training may see them too, since nothing of them is a label."""
        return made_ahead(lambda step: self._draw(0, step)[1], range(JUDGED))

    def examples(self, most: int) -> list[tuple[int, Batch]]:
        """A few chips of ``validation``, one a batch, with the numbers of their places: always the same.

        They are of as many places as there are among them; those with the most dates come first.
        """
        drawn = [self._draw(0, step) for step in range(JUDGED)]
        places = [place for place, _ in drawn]
        again = [places.index(place) < step for step, place in enumerate(places)]
        order = sorted(range(JUDGED), key=lambda step: (again[step], -drawn[step][1].series.shape[1]))
        return [(places[step], drawn[step][1].split(self._batch)[0]) for step in order[:most]]

    def _draw(self, number: int, step: int) -> tuple[int, Batch]:
        """The number of a place, and chips of it."""
        random = np.random.default_rng((self._seed, number, step))
        place = int(random.choice(len(self._series), p=self._share))
        one, chip = self._series[place], self._chip
        grid, days = one.series.grid, one.series.days
        kept = np.sort(random.choice(len(days), min(self._dates, len(days)), replace=False))
        series = np.zeros((self._batch, len(kept), self._count, chip, chip), np.float32)
        for sample in series:
            # A place that is smaller than a chip is mirrored at its edges.
            row = int(random.integers(min(0, grid.height - chip), max(0, grid.height - chip) + 1))
            column = int(random.integers(min(0, grid.width - chip), max(0, grid.width - chip) + 1))
            frames = Orientation.draw(random).apply(one.read(row, column, chip, chip)[0][kept])
            sample[:, list(self._bands[place])] = self._augmentation.apply(frames, days[kept], random)[0]
        dates = torch.from_numpy(days[kept]).expand(self._batch, -1)
        return place, Batch(torch.from_numpy(series), torch.zeros(self._batch, dtype=torch.int64), dates)
