"""Work on all cores: each piece once, the first error, and no thread that waits for another."""

import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datarax_hf import threads
from datarax_hf.threads import Threads, in_pool


@pytest.fixture(autouse=True)
def four_cores(monkeypatch):
    """As many on every machine, in a pool that no test before left to its holders."""
    monkeypatch.setattr(threads, "cores", lambda: 4)
    monkeypatch.setattr(threads, "_shared", None)


@pytest.fixture
def pool():
    held = Threads()
    yield held
    held.close()


@pytest.mark.parametrize("count", [0, 1, 2, 3, 40])
def test_each_piece_is_done_once(pool, count):
    done = []
    pool.each(done.append, range(count))
    assert sorted(done) == list(range(count))


def test_the_thread_that_asks_works_too(pool):
    """It does not wait for others to wake; no more threads than cores work at once."""
    names, now, most = set(), [], []

    def work(_):
        now.append(None)
        names.add(threading.current_thread().name)
        most.append(len(now))
        time.sleep(0.003)
        now.pop()

    pool.each(work, range(40))
    assert threading.current_thread().name in names
    assert len(names) > 1
    assert max(most) <= 4


@settings(max_examples=40, deadline=None)
@given(st.lists(st.booleans(), min_size=2, max_size=30))
def test_the_error_is_that_of_the_first_piece_that_fails(fails):
    """And what was done before it is done; the pieces after it are left once it failed."""
    held, done = Threads(), []

    def work(number):
        if fails[number]:
            raise OSError(number)
        done.append(number)

    if any(fails):
        first = fails.index(True)
        with pytest.raises(OSError, match=f"^{first}$"):
            held.each(work, range(len(fails)))
        assert set(range(first)) <= set(done)
    else:
        held.each(work, range(len(fails)))
        assert sorted(done) == list(range(len(fails)))
    held.close()


def test_no_piece_is_begun_after_one_has_failed(pool):
    begun = []

    def work(number):
        begun.append(number)
        if number == 0:
            raise OSError(number)
        time.sleep(0.05)

    with pytest.raises(OSError, match="0"):
        pool.each(work, range(1000))
    assert len(begun) <= 8


def test_an_interrupt_in_the_thread_that_asks_stops_the_work(pool):
    asks, begun = threading.current_thread(), []

    def work(number):
        begun.append(number)
        if threading.current_thread() is asks:
            raise KeyboardInterrupt
        time.sleep(0.02)

    with pytest.raises(KeyboardInterrupt):
        pool.each(work, range(1000))
    assert len(begun) <= 8
    count = len(begun)
    time.sleep(0.05)
    assert len(begun) == count


def test_an_interrupt_goes_before_errors(pool):
    """Of pieces that were begun earlier too: who handles those is not to go on."""
    asks, begun, failed = threading.current_thread(), threading.Event(), threading.Event()

    def work(_):
        if threading.current_thread() is asks:
            begun.set()
            assert failed.wait(10)
            raise KeyboardInterrupt
        assert begun.wait(10)
        failed.set()
        raise OSError

    for _ in range(20):
        begun.clear()
        failed.clear()
        with pytest.raises(KeyboardInterrupt):
            pool.each(work, range(8))


def test_work_within_work_is_done_where_it_is(pool):
    """Were it to wait for the pool, all might wait."""
    found = []

    def outer(_):
        assert in_pool()
        here = threading.current_thread()
        pool.each(lambda _: found.append(threading.current_thread() is here), range(3))

    assert not in_pool()
    pool.each(outer, range(12))
    assert not in_pool()
    assert found == [True] * 36


def test_many_may_ask_at_once(pool):
    totals = []

    def ask():
        done = []
        pool.each(done.append, range(200))
        totals.append(sum(done))

    asking = [threading.Thread(target=ask) for _ in range(8)]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join(60)
    assert totals == [sum(range(200))] * 8


def test_the_pool_has_all_its_threads_from_the_first_use_on(pool):
    """None is started later, in a pass that leaves no thread behind."""
    before = pool_threads()
    pool.each(lambda piece: None, range(2))
    deadline = time.monotonic() + 20
    while len(pool_threads() - before) != 4 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(pool_threads() - before) == 4


def pool_threads():
    return {one for one in threading.enumerate() if one.name.startswith("datarax-decode")}
