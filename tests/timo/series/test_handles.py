# SPDX-License-Identifier: GPL-3.0-or-later
from concurrent.futures import ThreadPoolExecutor

import pytest

from timo.series.handles import HandlePool


class File:
    def __init__(self, log):
        self.closed = False
        log.append(self)

    def close(self):
        self.closed = True


@pytest.fixture
def opened():
    return []


def test_a_file_is_opened_once_and_reused(opened):
    pool = HandlePool()
    for _ in range(3):
        with pool.borrow("a", lambda: File(opened)) as file:
            assert not file.closed
    assert len(opened) == 1


def test_two_borrowers_at_once_get_two_handles(opened):
    pool = HandlePool()
    with pool.borrow("a", lambda: File(opened)) as one, pool.borrow("a", lambda: File(opened)) as two:
        assert one is not two
    with pool.borrow("a", lambda: File(opened)), pool.borrow("a", lambda: File(opened)):
        assert len(opened) == 2


def test_the_longest_idle_are_closed_when_there_are_many(opened):
    pool = HandlePool()
    pool._most = 2
    for key in "abacb":
        with pool.borrow(key, lambda: File(opened)):
            pass
    assert [file.closed for file in opened] == [True, True, False, False][: len(opened)]
    assert sum(not file.closed for file in opened) == 2


def test_a_handle_is_closed_after_an_error(opened):
    pool = HandlePool()
    with pytest.raises(OSError, match="broken"), pool.borrow("a", lambda: File(opened)):
        raise OSError("broken")
    assert opened[0].closed
    with pool.borrow("a", lambda: File(opened)):
        assert len(opened) == 2


def test_threads_never_share_a_handle(opened):
    pool, busy = HandlePool(), set()

    def use(number):
        with pool.borrow(number % 3, lambda: File(opened)) as file:
            assert id(file) not in busy
            busy.add(id(file))
            busy.remove(id(file))

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(use, range(400)))
    assert all(not file.closed for file in opened)


def test_closing_lets_go_of_the_idle_and_the_pool_works_on():
    pool, opened = HandlePool(), []

    class File:
        closed = False

        def __init__(self):
            opened.append(self)

        def close(self):
            self.closed = True

    with pool.borrow("a", File) as in_use:
        with pool.borrow("a", File):
            pass
        pool.close()
        assert [file.closed for file in opened] == [False, True]
        assert not in_use.closed
    with pool.borrow("a", File) as again:
        assert again is in_use
