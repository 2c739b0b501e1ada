# SPDX-License-Identifier: GPL-3.0-or-later
"""A client that was killed, at whichever message, and comes back: no gap, no event twice, no job twice."""

import json
import subprocess
import sys
from pathlib import Path

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


def test_a_client_killed_at_any_message_goes_on_where_it_was(server, client, spec, tmp_path):
    status, said = talk(server, spec("succeed"), "whole", tmp_path / "whole")
    assert status == 0
    whole = [int(line.split()[1]) for line in (tmp_path / "whole").read_text().splitlines()]
    assert whole == list(range(1, len(whole) + 1))
    messages = int(said)
    assert messages == 3 + len(whole), "hello, submit and subscribe are answered"
    deaths = range(1, messages + 1) if RUN != "short" else (2, 3, messages // 2, messages)
    rounds = count(short=1, all=1)
    for number in range(rounds):
        for dies_at in deaths:
            key = f"{number} {dies_at}"
            assert talk(server, spec("succeed"), key, tmp_path / key, dies_at)[0] == DIED
            assert talk(server, spec("succeed"), key, tmp_path / key)[0] == 0
            lines = [line.split() for line in (tmp_path / key).read_text().splitlines()]
            assert [int(seq) for _, seq in lines] == whole
            assert len({job for job, _ in lines}) == 1
    assert len(client.jobs()) == min(1 + len(deaths) * rounds, 200)


def test_a_client_killed_again_and_again_comes_to_the_end(server, client, spec, tmp_path):
    dies_at, notes = 4, tmp_path / "notes"  # three answers, then the first event, is too early to see one
    assert talk(server, spec("succeed"), "k", notes, dies_at)[0] == DIED
    assert not notes.read_text()
    deaths = 0
    while talk(server, spec("succeed"), "k", notes, dies_at + 1)[0] == DIED:  # sees one event each time
        deaths += 1
    seen = [int(line.split()[1]) for line in notes.read_text().splitlines()]
    assert seen == list(range(1, len(seen) + 1)) and deaths == len(seen) - 1
    assert len(client.jobs()) == 1
