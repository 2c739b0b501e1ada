# SPDX-License-Identifier: GPL-3.0-or-later
"""A client that was killed, at whichever message, and comes back: no gap, no event twice, no job twice."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.timo_backend.faults.counts import RUN, count

ROOT = Path(__file__).parents[3]
DIED = 9


def talk(server, spec, key, notes, dies_at=0):
    """The exit status of a client that dies at a message, and what it said."""
    program = "tests.timo_backend.faults.dying_client"
    arguments = [str(server.home), json.dumps(spec), key, str(notes), str(dies_at)]
    done = subprocess.run(
        [sys.executable, "-m", program, *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False
    )
    return done.returncode, done.stdout


def seen(notes):
    """The jobs and the numbers of the events that clients have noted."""
    lines = [line.split() for line in notes.read_text().splitlines()]
    return {job for job, _ in lines}, [int(seq) for _, seq in lines]


@pytest.fixture
def whole(server, spec, tmp_path):
    """What a client that was not killed has seen: the numbers of its events, and how many messages came."""
    status, said = talk(server, spec("succeed"), "whole", tmp_path / "whole")
    numbers = seen(tmp_path / "whole")[1]
    assert status == 0 and numbers == list(range(1, len(numbers) + 1))
    assert int(said) >= 3 + len(numbers), "hello, submit and subscribe are answered, too"
    return numbers, int(said)


def test_a_client_killed_at_any_message_goes_on_where_it_was(server, client, spec, tmp_path, whole):
    numbers, messages = whole
    deaths = range(1, messages + 1) if RUN != "short" else (2, 3, messages // 2, messages)
    rounds = count(short=1, all=1)
    for number in range(rounds):
        for dies_at in deaths:
            key = f"{number} {dies_at}"
            assert talk(server, spec("succeed"), key, tmp_path / key, dies_at)[0] == DIED
            assert talk(server, spec("succeed"), key, tmp_path / key)[0] == 0
            jobs, noted = seen(tmp_path / key)
            assert noted == numbers and len(jobs) == 1
    assert len(client.jobs()) == min(1 + len(deaths) * rounds, 200)


def test_a_client_killed_again_and_again_comes_to_the_end(server, client, spec, tmp_path, whole):
    numbers, messages = whole
    dies_at, notes = messages - len(numbers) + 2, tmp_path / "notes"  # has noted one event by then
    deaths = 0
    while talk(server, spec("succeed"), "k", notes, dies_at)[0] == DIED:
        deaths += 1
    assert seen(notes)[1] == numbers and deaths == len(numbers) - 1
    assert len(client.jobs()) == 2
