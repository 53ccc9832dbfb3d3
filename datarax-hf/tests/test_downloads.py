"""Downloads: what the network and the server do to them, by the real client and a loopback Hub."""

from __future__ import annotations

import hashlib
import io
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from datarax.errors import CorruptDataError, UnknownDatasetError
from datarax_hf import CacheWriteError, HubConnectionError

NAME = "data/train-00000-of-00001.parquet"


@pytest.fixture
def numbers(hub, make):
    """Publish a/b with one shard of some 40 kB, and return its values and its bytes."""
    column = np.random.default_rng(0).integers(0, 2**60, 5000)
    data = make.parquet({"x": column})
    hub.publish("a/b", {"README.md": "# numbers", NAME: data})
    return column, data


@pytest.fixture
def loads(numbers, open_reader):
    """Load a/b and check that its records are those published."""

    def load(**options):
        reader = open_reader("a/b", **options)
        read = reader.read(np.arange(len(reader)), ["x"])["x"]
        np.testing.assert_array_equal(read, numbers[0])

    return load


@pytest.fixture
def clean(cache):
    """Check that the cache holds whole files only."""

    def check():
        assert not list(cache.rglob("*incomplete*"))
        for blob in cache.glob("*/blobs/*"):
            assert len(blob.name) in {40, 64}

    return check


def begins(hub):
    """Return the first byte of each request for the shard."""
    return [
        0 if asked is None else int(asked.removeprefix("bytes=").partition("-")[0])
        for name, asked in hub.ranges
        if name == NAME
    ]


@pytest.mark.parametrize("reset", [True, False], ids=["reset", "short-body"])
def test_a_download_goes_on_where_it_broke_off(hub, loads, clean, reset):
    """Neither a reset nor a body that ends early throws away what arrived."""
    hub.fault(NAME, cut=10_000, reset=reset)
    hub.fault(NAME, cut=5_000, reset=reset)
    loads()
    first, second, third = begins(hub)
    assert first == 0
    assert 0 < second <= 10_000
    assert second < third <= 15_000
    clean()


def test_a_server_that_heeds_no_ranges_sends_the_file_anew(hub, loads, clean):
    """An answer from the beginning is not appended to what arrived."""
    hub.resumes = False
    hub.fault(NAME, cut=10_000)
    loads()
    clean()


def test_a_part_that_does_not_say_which_is_not_appended(hub, loads, clean):
    """A proxy may drop Content-Range: the file is asked for anew, and not for ever in parts."""
    hub.fault(NAME, cut=10_000)
    hub.fault(NAME, status=206, body=b"the rest")
    loads()
    assert begins(hub) == [0, 0]
    clean()


def test_progress_renews_patience(hub, loads, monkeypatch):
    """A download that goes on after each break may break more often than is asked again."""
    monkeypatch.setenv("DATARAX_HF_RETRIES", "1")
    hub.fault(NAME, cut=5_000, times=4)
    loads()
    assert begins(hub) == [0, 5_000, 10_000, 15_000, 20_000]


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504, 408])
@pytest.mark.parametrize("where", ["/api/datasets/a/b/revision/main", "/tree/", NAME])
def test_what_may_pass_is_asked_again(hub, loads, where, status, caplog):
    """Metadata, listings and files alike; each wait is said."""
    hub.fault(where, status=status, times=2)
    loads()
    said = [record.getMessage() for record in caplog.records if record.name == "datarax_hf"]
    assert len(said) == 2
    assert f"HTTP {status}" in said[0]
    assert "asking again in 0.0 s (retry 1 of 5)" in said[0]
    assert "(retry 2 of 5)" in said[1]


@pytest.mark.parametrize(
    "headers",
    [
        {"Retry-After": "0"},
        {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"},
        {"RateLimit": '"api";r=0;t=0'},
    ],
)
def test_the_wait_that_a_server_asks_for_is_the_wait(hub, loads, headers, monkeypatch):
    """In seconds, as a date, or as the Hub's rate limit; not ours, which would be a minute here."""
    monkeypatch.setenv("DATARAX_HF_RETRY_SECONDS", "60")
    hub.fault("/revision/main", status=429, headers=headers)
    hub.fault(NAME, status=429, headers=headers)
    loads()


@pytest.mark.parametrize(
    "asked",
    ["\u00b2".encode().decode("latin-1"), "9" * 400, "Wed, 21 Oct 99999999999999 07:28:00 GMT"],
)
def test_a_wait_that_is_none_is_ours(hub, loads, asked):
    """Neither a crash nor for ever."""
    hub.fault("/revision/main", status=429, headers={"Retry-After": asked})
    loads()


def test_a_wait_beyond_five_minutes_is_an_error_at_once(hub, loads):
    """It says when to come back."""
    hub.fault("/revision/main", status=429, headers={"Retry-After": "4000"}, times=9)
    with pytest.raises(HubConnectionError, match=r"HTTP 429.*try again in 4000 s"):
        loads()
    assert hub.faults[0].times == 8


def test_patience_has_an_end(hub, loads, monkeypatch):
    """Six times in all, or as DATARAX_HF_RETRIES has it; then what the server said."""
    hub.fault("/revision/main", status=503, times=99)
    with pytest.raises(HubConnectionError, match="answered HTTP 503, 'too busy'"):
        loads()
    assert hub.faults[0].times == 99 - 6
    monkeypatch.setenv("DATARAX_HF_RETRIES", "0")
    with pytest.raises(HubConnectionError):
        loads()
    assert hub.faults[0].times == 99 - 7


def test_a_number_of_retries_that_is_none_is_refused(hub, loads, monkeypatch):
    """Neither half understood nor ignored."""
    monkeypatch.setenv("DATARAX_HF_RETRIES", "many")
    with pytest.raises(ValueError, match="DATARAX_HF_RETRIES is a number"):
        loads()


def test_what_cannot_pass_is_not_asked_again(hub, loads):
    """404 and 403 are answers."""
    with pytest.raises(UnknownDatasetError):
        loads(revision="v9")
    hub.repos["a/b"].refusal = (403, "", "Forbidden")
    with pytest.raises(UnknownDatasetError):
        loads()
    assert len([path for _, path in hub.requests if "/revision/" in path]) == 2


def test_a_server_that_stalls_is_asked_again(hub, loads, monkeypatch):
    """The client's own timeout for downloads is heeded."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", 0.1)
    hub.fault(NAME, stall=0.3)
    loads()
    assert hub.downloads() == [NAME, NAME]


def test_a_dead_server_is_said_while_it_is_waited_for(cache, open_reader, monkeypatch, caplog):
    """Nothing is cached: each wait is logged, then the endpoint is named."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{port}")
    with pytest.raises(HubConnectionError, match=f"127.0.0.1:{port} cannot be reached"):
        open_reader("a/b")
    waits = [text for text in caplog.messages if "asking again" in text]
    assert len(waits) == 5
    assert "ConnectError" in waits[0]


def test_what_the_cache_can_serve_is_asked_for_only_twice(hub, loads):
    """A busy Hub does not hold up what is there."""
    loads()
    hub.fault("/revision/main", status=503, times=99)
    with pytest.warns(UserWarning, match="cached commit"):
        loads()
    assert hub.faults[0].times == 97


def test_a_byte_that_was_damaged_on_the_way_is_fetched_again(hub, loads, clean):
    """Every download is compared with the hash that the Hub publishes."""
    hub.fault(NAME, flip=1234)
    loads()
    clean()


def test_a_file_that_always_comes_damaged_is_an_error_and_not_kept(hub, loads, clean, numbers):
    """The text has both hashes and the address."""
    hub.fault(NAME, flip=1234, times=99)
    with pytest.raises(CorruptDataError) as caught:
        loads()
    damaged = bytearray(numbers[1])
    damaged[1234] ^= 0xFF
    for data in (numbers[1], damaged):
        assert hashlib.sha256(data).hexdigest() in str(caught.value)
    assert hub.endpoint in str(caught.value)
    clean()
    hub.faults.clear()
    loads()


def test_more_bytes_than_are_listed_are_an_error(hub, loads, clean):
    """The size is named, and nothing is kept."""
    hub.fault(NAME, more=b"surplus")
    with pytest.raises(CorruptDataError, match=r"is listed with \d+ bytes, and .* sends more"):
        loads()
    hub.faults.clear()
    loads()
    clean()


def test_fewer_bytes_than_are_listed_are_never_taken_for_the_file(hub, loads, numbers, cache):
    """A body that never grows whole ends in an error; what there is stays for the next load."""
    size = len(numbers[1])
    hub.fault(NAME, cut=size - 10)
    hub.fault(NAME, cut=0, times=99)
    with pytest.raises(HubConnectionError):
        loads()
    assert not list(cache.glob("*/snapshots/*/data/*"))
    hub.faults.clear()
    loads()
    assert begins(hub)[-1] == size - 10


def test_files_are_downloaded_at_the_same_time(hub, make, open_reader):
    """Eight of them."""
    names = [f"data/train-{i:05d}-of-00010.parquet" for i in range(10)]
    hub.publish("a/b", {name: make.parquet({"x": [i]}) for i, name in enumerate(names)})
    hub.fault(".parquet", stall=0.1, times=10)
    reader = open_reader("a/b")
    assert reader.read(np.arange(10), ["x"])["x"].tolist() == list(range(10))
    assert 4 <= hub.most_at_once <= 8


def test_one_failure_ends_the_other_downloads(hub, make, open_reader):
    """The error is the failure's own."""
    names = [f"data/train-{i:05d}-of-00030.parquet" for i in range(30)]
    hub.publish("a/b", {name: make.parquet({"x": [i]}) for i, name in enumerate(names)})
    hub.fault("train-00000", status=403)
    with pytest.raises(UnknownDatasetError, match="HTTP 403"):
        open_reader("a/b")


class _Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("stream", "switch", "drawn"),
    [(_Terminal, "1", True), (_Terminal, "0", False), (io.StringIO, "1", False)],
)
def test_progress_is_shown_on_a_terminal_unless_it_is_switched_off(
    hub, loads, monkeypatch, stream, switch, drawn
):
    """One bar for all files, in bytes."""
    from datarax import progress

    monkeypatch.setattr(progress, "QUIET_SECONDS", 0)
    monkeypatch.setattr(progress, "PERIOD_SECONDS", 0)
    monkeypatch.setenv("DATARAX_PROGRESS", switch)
    shown = stream()
    monkeypatch.setattr(sys, "stderr", shown)
    loads()
    assert ("downloading hf:a/b" in shown.getvalue()) is drawn
    assert ("100%" in shown.getvalue()) is drawn


def test_long_listings_are_read_to_their_end(hub, loads, open_reader):
    """The listing comes in pages."""
    hub.page = 1
    hub.fault("/tree/", status=503)
    loads()
    assert len([path for _, path in hub.requests if "/tree/" in path]) == 3


def test_the_token_goes_to_the_hub_and_nowhere_else(hub, loads, monkeypatch):
    """A file that comes from another host is asked for without it, resumed too."""
    hub.elsewhere = True
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    hub.fault("/content/", cut=1000)
    loads()
    sent = {
        host.partition(":")[0]: token for path, host, token in hub.tokens if "agent" not in path
    }
    assert sent == {"127.0.0.1": "Bearer hf_secret", "localhost": None}


def test_a_full_disk_is_said_before_anything_is_downloaded(hub, loads, cache, monkeypatch):
    """With the folder, the bytes needed and those free."""
    usage = shutil.disk_usage(cache)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=100))
    with pytest.raises(CacheWriteError, match=r"needs \d+ bytes more, and 100 are free") as caught:
        loads()
    assert str(cache) in str(caught.value)
    assert isinstance(caught.value, OSError)
    assert hub.downloads() == []


def test_a_disk_that_fills_up_loses_nothing(hub, loads, cache):
    """The error names the folder; the next load goes on from what arrived."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (16384, hard))
    try:
        with pytest.raises(CacheWriteError, match="cannot take more") as caught:
            loads()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert str(cache) in str(caught.value)
    loads()
    assert begins(hub) == [0, 16384]


def test_a_cache_that_cannot_be_written_is_said(numbers, open_reader):
    """With the ways to give another."""
    with pytest.raises(CacheWriteError, match="cannot be written.*cache_dir="):
        open_reader("a/b", cache_dir="/sys/datarax-has-no-cache-here")


@pytest.fixture
def process(hub):
    """Start a process that loads a/b and prints the sum of its numbers."""
    program = (
        "import numpy as np\n"
        "from datarax_hf.config import HFSourceConfig\n"
        "from datarax_hf.locate import locate\n"
        "from datarax_hf.reader import open_reader\n"
        "config = HFSourceConfig(name='a/b')\n"
        "reader = open_reader(locate(config), config)\n"
        "print(int(reader.read(np.arange(len(reader)), ['x'])['x'].sum()))\n"
    )
    started = []

    def start():
        started.append(
            subprocess.Popen(
                [sys.executable, "-c", program],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env={**os.environ, "HF_HUB_DISABLE_TELEMETRY": "1"},
            )
        )
        return started[-1]

    yield start
    for one in started:
        one.kill()
        one.communicate()


def test_two_processes_that_load_at_once_both_succeed(numbers, hub, process, clean):
    """One of them downloads, the other waits for it."""
    hub.fault(NAME, stall=0.1)
    outcomes = [one.communicate(timeout=60) for one in (process(), process())]
    for printed, said in outcomes:
        assert printed == f"{numbers[0].sum()}\n", said
    assert hub.downloads() == [NAME]
    clean()


def test_a_load_after_a_kill_goes_on_where_it_was_killed(
    numbers, hub, process, cache, loads, offline, clean
):
    """Nothing that reads as whole is left behind, and nothing that arrived is fetched again."""
    hold = threading.Event()
    hub.fault(NAME, cut=20_000, hold=hold)
    victim = process()
    deadline = time.monotonic() + 60
    while sum(path.stat().st_size for path in cache.rglob("*.incomplete")) < 20_000:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    victim.send_signal(signal.SIGKILL)
    victim.wait()
    hold.set()
    with pytest.raises(FileNotFoundError):
        offline("a/b")
    loads()
    assert begins(hub) == [0, 20_000]
    clean()


def test_an_interrupt_is_heard_while_downloads_wait(hub, make, process):
    """Ctrl-C ends a load at once, and the next one completes."""
    names = [f"data/train-{i:05d}-of-00003.parquet" for i in range(3)]
    hub.publish("a/b", {name: make.parquet({"x": [i]}) for i, name in enumerate(names)})
    hold = threading.Event()
    hub.fault(".parquet", cut=100, hold=hold, times=3)
    victim = process()
    deadline = time.monotonic() + 60
    while len(hub.downloads()) < 3:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    victim.send_signal(signal.SIGINT)
    asked = time.monotonic()
    _, said = victim.communicate(timeout=30)
    assert time.monotonic() - asked < 5
    hold.set()
    assert "KeyboardInterrupt" in said
    assert victim.returncode != 0
    printed, said = process().communicate(timeout=60)
    assert printed == "3\n", said
