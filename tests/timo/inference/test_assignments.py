# SPDX-License-Identifier: GPL-3.0-or-later
"""Workers of a cluster come, go and share the blocks."""

from hypothesis import given
from hypothesis import strategies as st

from timo.inference.assignments import Assignments
from timo.inference.chips import Rectangle


def row(count):
    return [Rectangle(0, i, 1, 1) for i in range(count)]


@given(st.integers(0, 12), st.integers(1, 4), st.data())
def test_every_block_is_done_once_whoever_is_lost_as_long_as_one_worker_is_left(count, workers, data):
    shares, done = Assignments(row(count)), []
    idle, busy = list(range(workers)), {}
    while not shares.finished:
        for worker in [*idle]:
            if (taken := shares.take(worker)) is not None:
                idle.remove(worker)
                busy[worker] = taken[0]
        assert busy, "there is work, and nobody does it"
        worker = data.draw(st.sampled_from(sorted(busy)))
        block = busy.pop(worker)
        if len(busy) + len(idle) and data.draw(st.booleans()):
            shares.lost(worker)
        else:
            assert shares.done(worker) == block
            done.append(block)
            idle.append(worker)
    assert sorted(done) == row(count)


def test_a_worker_gets_the_block_that_it_was_told_of():
    shares = Assignments(row(6))
    told = {worker: shares.take(worker)[1] for worker in (0, 1)}
    for worker in (1, 0):
        shares.done(worker)
        assert shares.take(worker)[0] == told[worker]


def test_the_last_block_does_not_wait_for_a_slow_worker():
    shares = Assignments(row(3))
    assert shares.take(0) == (row(3)[0], row(3)[1])
    assert shares.take(1) == (row(3)[2], None)
    shares.done(1)
    assert shares.take(1) == (row(3)[1], None)
