# SPDX-License-Identifier: GPL-3.0-or-later
"""However often, and by however many clients at once, a job is submitted with one key: it is one job."""

import threading

from tests.timo_backend.faults.counts import count


def test_the_same_submit_ten_times_is_one_job(server, client, spec):
    rounds = count(short=2, all=20)
    for number in range(rounds):
        found = {client.submit("predict", spec("succeed"), key=f"{number}") for _ in range(5)}
        with server.client() as other:
            found |= {other.submit("predict", spec("succeed"), key=f"{number}") for _ in range(5)}
        assert len(found) == 1
    assert len({row["id"] for row in client.jobs()}) == len(client.jobs()) == rounds


def test_two_clients_that_submit_one_key_at_once_make_one_job(server, client, spec):
    rounds = count(short=5, all=100)
    found, begin = [set() for _ in range(rounds)], threading.Barrier(2)

    def submit():
        with server.client() as mine:
            for number, jobs in enumerate(found):
                begin.wait()
                jobs.add(mine.submit("predict", spec("succeed"), key=f"{number}"))

    threads = [threading.Thread(target=submit) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [len(jobs) for jobs in found] == [1] * rounds
    assert len(set.union(*found)) == rounds
    assert len(client.jobs()) == rounds
