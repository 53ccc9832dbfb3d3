"""Xet storage: what comes out of it, and what is done where it fails, by the real hf_xet."""

from __future__ import annotations

import hashlib
import io
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from huggingface_hub import constants

from datarax.errors import CorruptDataError, UnknownDatasetError

NAMES = [f"data/train-{shard:05d}-of-00002.parquet" for shard in range(2)]
PROGRAM = """
import os, sys
import numpy as np
from datarax_hf.config import HFSourceConfig
from datarax_hf.locate import locate
from datarax_hf.reader import open_reader

def total(name, **options):
    config = HFSourceConfig(name=name, **options)
    reader = open_reader(locate(config), config)
    return int(reader.read(np.arange(len(reader)), ["x"])["x"].sum())

"""


@pytest.fixture
def numbers(xet, hub, make):
    """Publish a/b in two shards of some 40 kB, and return its values and its files."""
    column = np.random.default_rng(0).integers(0, 2**60, 10_000)
    files = {
        name: make.parquet({"x": half})
        for name, half in zip(NAMES, np.split(column, 2), strict=True)
    }
    hub.publish("a/b", {"README.md": "# numbers", **files})
    return column, files


@pytest.fixture
def loads(numbers, open_reader, cache):
    """Load a/b, and check that its records are those published and that the blobs are whole."""

    def load(**options):
        reader = open_reader("a/b", **options)
        read = reader.read(np.arange(len(reader)), ["x"])["x"]
        np.testing.assert_array_equal(read, numbers[0])
        assert not list(cache.rglob("*incomplete*"))
        blobs = {path.name: path.read_bytes() for path in cache.glob("*/blobs/*")}
        for data in numbers[1].values():
            assert blobs[hashlib.sha256(data).hexdigest()] == data

    return load


@pytest.fixture
def impatient(monkeypatch):
    """Wait half a second for a byte, not ten."""
    monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", 0.5)


@pytest.fixture
def process(hub):
    """Start a process that runs a program after `total`, which loads a dataset."""
    started = []

    def start(program, **variables):
        started.append(
            subprocess.Popen(
                [sys.executable, "-c", PROGRAM + program],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env={**os.environ, **variables},
            )
        )
        return started[-1]

    yield start
    for one in started:
        one.kill()
        one.communicate()


def told(caplog):
    """Return what was said of HTTP in the place of Xet."""
    return [text for text in caplog.messages if "is fetched by HTTP, not Xet" in text]


def wait_for(reached):
    """Wait until `reached()` is true."""
    deadline = time.monotonic() + 60
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("newest", [1, 2])
def test_files_come_out_of_xet_storage_alone(hub, xet, loads, caplog, newest):
    """All their chunks, each once, whichever API the storage has; the Hub sends none of them."""
    xet.newest = newest
    loads()
    assert sorted(xet.sent()) == sorted(xet.xorbs)
    assert hub.downloads() == []
    assert caplog.messages == []


def test_what_was_loaded_is_read_without_a_network(hub, xet, loads, process, cache):
    """Neither hf_xet nor its folder is needed then."""
    loads()
    asked = len(hub.requests), len(xet.requests)
    shutil.rmtree(cache.parent / "xet", ignore_errors=True)
    loads(local_files_only=True)
    told, said = process(
        "total('a/b', local_files_only=True)\nprint('hf_xet' in sys.modules)"
    ).communicate(timeout=60)
    assert told == "False\n", said
    assert (len(hub.requests), len(xet.requests)) == asked


def test_reading_what_was_loaded_opens_no_socket(loads, air_gap):
    """The cache is as complete as one that HTTP filled."""
    loads()
    air_gap()
    loads(local_files_only=True)


def test_a_damaged_chunk_is_never_loaded(hub, xet, loads, caplog):
    """hf_xet does not notice; the published hash tells, and the Hub sends the file."""
    xet.flip = 2000
    loads()
    assert xet.sent()
    assert sorted(hub.downloads()) == NAMES
    assert "it came with the hash" in told(caplog)[0]


@pytest.mark.usefixtures("impatient")
def test_a_damaged_header_of_a_chunk_is_never_loaded(hub, xet, loads, caplog):
    """hf_xet asks again for minutes; the Hub sends the file long before."""
    xet.flip = 1
    begun = time.monotonic()
    loads()
    assert time.monotonic() - begun < 20
    assert sorted(hub.downloads()) == NAMES
    assert told(caplog)


def test_damage_everywhere_is_an_error_and_nothing_is_kept(hub, xet, loads, numbers, cache):
    """Neither what Xet sent nor what the Hub sent passes for the file."""
    xet.flip = 2000
    hub.fault(".parquet", flip=1234, times=99)
    with pytest.raises(CorruptDataError):
        loads()
    published = {hashlib.sha256(data).hexdigest() for data in numbers[1].values()}
    assert not published & {path.name for path in cache.glob("*/blobs/*")}
    assert not list(cache.rglob("*xet.incomplete"))


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("broken", ["dead", "silent", "/v2", "/xorbs"])
def test_storage_that_fails_is_not_waited_for(hub, xet, loads, caplog, broken):
    """The Hub sends the files, and a warning says so, once, and why."""
    if broken == "dead":
        xet.close()
    elif broken == "silent":
        xet.silent = True
    else:
        xet.faults[broken] = 500
    begun = time.monotonic()
    loads()
    assert time.monotonic() - begun < 20
    assert sorted(hub.downloads()) == NAMES
    assert len(told(caplog)) == 1
    assert "TimeoutError: nothing came in 0.5 s" in told(caplog)[0]


@pytest.mark.parametrize("status", [401, 403, 404])
def test_storage_that_refuses_is_not_asked_again(hub, xet, loads, caplog, status):
    """The warning has the status, and no more than the path of the address."""
    xet.faults["/v"] = status
    loads()
    assert sorted(hub.downloads()) == NAMES
    assert str(status) in told(caplog)[0]


def test_behind_a_mirror_that_knows_no_xet_the_files_come_by_http(hub, xet, loads, caplog):
    """It lists the hashes and has no token to give; it is asked once."""
    hub.fault("/xet-read-token/", status=404, times=99)
    loads()
    assert len([path for _, path in hub.requests if "/xet-read-token/" in path]) == 1
    assert sorted(hub.downloads()) == NAMES
    assert len(told(caplog)) == 1
    assert xet.requests == []


@pytest.mark.usefixtures("impatient")
def test_storage_that_failed_is_left_alone_for_the_rest_of_a_download(hub, xet, make, open_reader):
    """Of thirty files, only those that were begun are waited for."""
    names = [f"data/train-{shard:05d}-of-00030.parquet" for shard in range(30)]
    hub.publish("a/b", {name: make.parquet({"x": [i]}) for i, name in enumerate(names)})
    xet.silent = True
    begun = time.monotonic()
    reader = open_reader("a/b")
    assert time.monotonic() - begun < 20
    assert reader.read(np.arange(30), ["x"])["x"].tolist() == list(range(30))
    asked = {path for _, path, _ in xet.requests if "/reconstructions/" in path}
    assert len(asked) <= 8


@pytest.mark.usefixtures("impatient")
def test_storage_that_is_slow_and_sends_is_waited_for(hub, xet, loads, caplog):
    """A whole load takes several times what a silence may."""
    xet.pause = 0.2
    begun = time.monotonic()
    loads()
    assert time.monotonic() - begun > 1
    assert hub.downloads() == []
    assert told(caplog) == []


def test_the_token_goes_to_the_hub_and_the_hubs_answer_to_the_storage(hub, xet, loads, monkeypatch):
    """A private dataset: one token is asked for, whatever the files, and xorbs come without."""
    hub.repos["a/b"].token = "hf_secret"
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    loads()
    asked = [token for path, _, token in hub.tokens if "/xet-read-token/" in path]
    assert asked == ["Bearer hf_secret"]
    sent = {(path.split("/")[1], token) for method, path, token in xet.requests if method == "GET"}
    assert sent == {("v2", "Bearer xet_token"), ("xorbs", None)}


def test_a_token_at_its_end_is_renewed(hub, xet, loads, monkeypatch):
    """hf_xet asks the Hub for another, with the token of the Hub."""
    hub.repos["a/b"].token = "hf_secret"
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    xet.lifetime = 1
    loads()
    asked = [token for path, _, token in hub.tokens if "/xet-read-token/" in path]
    assert len(asked) > 1
    assert set(asked) == {"Bearer hf_secret"}
    assert hub.downloads() == []


def test_xet_can_be_switched_off(hub, xet, numbers, process):
    """HF_HUB_DISABLE_XET is the client's own switch."""
    printed, said = process("print(total('a/b'))", HF_HUB_DISABLE_XET="1").communicate(timeout=60)
    assert printed == f"{numbers[0].sum()}\n", said
    assert sorted(hub.downloads()) == NAMES
    assert xet.requests == []


def test_what_http_began_http_completes(hub, xet, loads, numbers, cache):
    """Bytes that are there are not fetched again."""
    first = numbers[1][NAMES[0]]
    part = cache / "datasets--a--b" / "blobs" / f"{hashlib.sha256(first).hexdigest()}.incomplete"
    part.parent.mkdir(parents=True)
    part.write_bytes(first[:30_000])
    loads()
    assert [asked for asked in hub.ranges if asked[0] in NAMES] == [(NAMES[0], "bytes=30000-")]
    assert len(xet.sent()) == len(xet.xorbs) // 2


def test_a_failure_of_the_hub_ends_the_wait_for_the_storage(
    hub, xet, loads, numbers, cache, caplog
):
    """Its error comes long before the storage would have been silent for too long."""
    first = hashlib.sha256(numbers[1][NAMES[0]]).hexdigest()
    part = cache / "datasets--a--b" / "blobs" / f"{first}.incomplete"
    part.parent.mkdir(parents=True)
    part.write_bytes(numbers[1][NAMES[0]][:30_000])
    hub.fault(NAMES[0], status=403, stall=0.5)
    xet.silent = True
    begun = time.monotonic()
    with pytest.raises(UnknownDatasetError, match="HTTP 403"):
        loads()
    assert time.monotonic() - begun < 5
    assert xet.requests
    assert hub.downloads() == [NAMES[0]]
    wait_for(lambda: not list(cache.rglob("*xet.incomplete")))
    assert told(caplog) == []


class _Terminal(io.StringIO):
    def isatty(self):
        return True


def draw(monkeypatch):
    """Let the bar be drawn; return a function that returns the percents that it has shown."""
    from datarax import progress

    shown = _Terminal()
    monkeypatch.setattr(progress, "QUIET_SECONDS", 0)
    monkeypatch.setattr(progress, "PERIOD_SECONDS", 0)
    monkeypatch.setenv("DATARAX_PROGRESS", "1")
    monkeypatch.setattr(sys, "stderr", shown)
    return lambda: [int(percent) for percent in re.findall(r"(\d+)%", shown.getvalue())]


def test_the_bar_counts_what_comes_from_the_storage(loads, monkeypatch):
    """It ends full."""
    drawn = draw(monkeypatch)
    loads()
    assert max(drawn()) == drawn()[-1] == 100


def test_the_bar_takes_back_what_came_damaged(hub, xet, loads, numbers, cache, monkeypatch):
    """It stands at half while the second of two files is on its second way."""
    drawn = draw(monkeypatch)
    xet.flip = 2000
    hold = threading.Event()
    hub.fault(NAMES[1], cut=1000, hold=hold)
    first = cache / "datasets--a--b" / "blobs"
    first /= hashlib.sha256(numbers[1][NAMES[0]]).hexdigest()
    loading = threading.Thread(target=loads)
    loading.start()
    wait_for(lambda: first.exists() and NAMES[1] in hub.downloads())
    time.sleep(0.2)
    assert 50 <= drawn()[-1] < 60
    hold.set()
    loading.join()
    assert drawn()[-1] == 100


@pytest.mark.parametrize("files", [1, 3])
def test_an_interrupt_is_heard_while_the_storage_is_silent(
    hub, xet, make, process, open_reader, files
):
    """Ctrl-C ends a load at once, and the next one completes."""
    names = [f"data/train-{shard:05d}-of-{files:05d}.parquet" for shard in range(files)]
    hub.publish("a/b", {name: make.parquet({"x": [i]}) for i, name in enumerate(names)})
    xet.silent = True
    victim = process("total('a/b')")
    wait_for(lambda: len(xet.requests) >= files)
    victim.send_signal(signal.SIGINT)
    asked = time.monotonic()
    _, said = victim.communicate(timeout=30)
    assert time.monotonic() - asked < 5
    assert "KeyboardInterrupt" in said
    xet.silent = False
    assert len(open_reader("a/b")) == files
    assert hub.downloads() == []


def test_a_kill_leaves_nothing_that_reads_as_whole(xet, numbers, process, loads, offline):
    """The next load begins the file anew, in the place of what was left."""
    xet.pause = 0.3
    victim = process("total('a/b')")
    wait_for(xet.sent)
    victim.send_signal(signal.SIGKILL)
    victim.wait()
    with pytest.raises(FileNotFoundError):
        offline("a/b")
    xet.pause = 0
    loads()


def test_a_process_that_loaded_can_fork_and_end(hub, xet, numbers, make, process):
    """Nothing of hf_xet is left to hang in a child, or at the end; the child can load too."""
    hub.publish("c/d", {"train.parquet": make.parquet({"x": [1, 2, 3]})})
    printed, said = process(
        "print(total('a/b'), flush=True)\n"
        "child = os.fork()\n"
        "print(total('c/d'), flush=True)\n"
        "if child:\n"
        "    assert os.waitpid(child, 0)[1] == 0\n"
    ).communicate(timeout=60)
    assert printed.split() == [str(numbers[0].sum()), "6", "6"], said
    assert hub.downloads() == []
