"""The derived cache: whole or not at all, one builder among many, a cap, and what is open stays."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import datarax
from datarax_hf.config import HFSourceConfig
from datarax_hf.derived import Derived, contents_key, derived_folders, prune, source_key
from datarax_hf.whole import NotKeptError

HOUR = 3600.0


@pytest.fixture
def derived(tmp_path):
    return Derived([tmp_path / "derived"], limit=1000)


def written(data):
    return lambda path: path.write_bytes(data)


def kept(derived):
    """Return every file under the folders, by name."""
    return sorted(p.name for f in derived.folders for p in f.rglob("*") if p.is_file())


def old(path, seconds=HOUR):
    when = time.time() - seconds
    os.utime(path, (when, when))


def test_a_file_is_built_once_and_found_again(derived):
    """The second call builds nothing."""
    path = derived.file("source", "a.bin", written(b"abc"))
    assert path.read_bytes() == b"abc"
    assert derived.file("source", "a.bin", lambda path: pytest.fail("built again")) == path
    assert derived.find("source", "a.bin") == path
    assert derived.find("source", "b.bin") is None
    assert kept(derived) == ["a.bin"]


def test_a_build_that_fails_leaves_nothing(derived):
    """Its error comes through, and what it wrote is gone."""

    def build(path):
        path.write_bytes(b"half")
        raise RuntimeError("broken off")

    with pytest.raises(RuntimeError, match="broken off"):
        derived.file("source", "a.bin", build)
    assert kept(derived) == []


def test_a_full_disk_leaves_nothing_and_is_told_apart(derived):
    """It is `NotKeptError`, which callers do without."""

    def build(path):
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    with pytest.raises(NotKeptError, match="No space left on device"):
        derived.file("source", "a.bin", build)
    assert kept(derived) == []


def test_a_killed_build_leaves_nothing_that_reads_as_whole(derived, tmp_path):
    """What it left is cleared away by the next build, once it is a minute old."""
    code = (
        "import os, signal, sys; from pathlib import Path; from datarax_hf.derived import Derived\n"
        "def build(path):\n"
        "    path.write_bytes(b'half'); os.kill(os.getpid(), signal.SIGKILL)\n"
        "Derived([Path(sys.argv[1])]).file('source', 'a.bin', build)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "derived")], check=False)
    assert done.returncode == -signal.SIGKILL
    assert derived.find("source", "a.bin") is None
    (left,) = derived.folders[0].rglob("*.partial")
    old(left)
    assert derived.file("source", "a.bin", written(b"whole")).read_bytes() == b"whole"
    assert kept(derived) == ["a.bin"]


def test_of_many_at_once_one_builds_and_all_get_the_file(derived):
    """Threads of one process take turns as processes do."""
    built, barrier = [], threading.Barrier(6)

    def build(path):
        built.append(path)
        time.sleep(0.02)
        path.write_bytes(b"whole")

    def ask(_):
        barrier.wait()
        return derived.file("source", "a.bin", build).read_bytes()

    with ThreadPoolExecutor(6) as pool:
        assert set(pool.map(ask, range(6))) == {b"whole"}
    assert len(built) == 1


def test_a_build_under_way_is_not_cleared_away(derived):
    """Its temporary file is locked, however old it looks."""

    def build(path):
        path.write_bytes(b"slow")
        old(path)
        derived.file("source", "b.bin", written(b"b"))
        derived.prune()

    assert derived.file("source", "a.bin", build).read_bytes() == b"slow"


def test_what_was_used_longest_ago_makes_room(derived):
    """A use counts, not only the build."""
    paths = [derived.file(f"s{i}", "x", written(bytes(300)), size=300) for i in range(3)]
    for i, path in enumerate(paths):
        old(path, HOUR * (3 - i))
    assert derived.find("s0", "x") is not None
    derived.file("s3", "x", written(bytes(300)), size=300)
    assert [path.is_file() for path in paths] == [True, False, True]


def test_the_cap_holds_where_sizes_are_not_known_before(derived):
    """What was used longest ago makes room for what was built; what is beyond the cap goes."""
    first = derived.file("s0", "x", written(bytes(600)))
    old(first)
    second = derived.file("s1", "x", written(bytes(600)))
    assert [first.is_file(), second.is_file()] == [False, True]
    with pytest.raises(NotKeptError, match=r"1,001 bytes are beyond the limit of 1,000"):
        derived.file("s2", "x", written(bytes(1001)))
    assert kept(derived) == ["x"]


@pytest.mark.parametrize("size", [600, None])
def test_the_cap_holds_for_all_that_is_open_together(derived, size):
    """What is open stays; what does not fit beside it is not kept, and nothing goes for it."""
    path = derived.file("s0", "x", written(bytes(600)))
    other = derived.file("s1", "x", written(bytes(300)))
    old(other)
    hold = derived.hold([path])
    with pytest.raises(NotKeptError, match=r"600 bytes .* 1,000, of which files .* open take 600"):
        derived.file("s2", "x", written(bytes(600)), size=size)
    assert other.is_file()
    hold.close()
    assert derived.file("s2", "x", written(bytes(600)), size=size).is_file()
    assert not path.is_file()


def test_what_is_beyond_the_cap_is_not_kept(derived):
    """The text names the option."""
    with pytest.raises(
        NotKeptError, match=r"1,001 bytes are beyond the limit of 1,000.*derived_limit"
    ):
        derived.file("s0", "x", lambda path: pytest.fail("built"), size=1001)


def test_without_a_limit_half_of_what_is_free_is_the_cap(tmp_path):
    """What is kept counts as free."""
    derived = Derived([tmp_path / "derived"])
    derived.make_room(1)
    with pytest.raises(NotKeptError, match="beyond the limit"):
        derived.make_room(2**62)


def test_a_limit_of_0_builds_nothing_and_finds_what_is_there(tmp_path, derived):
    """Refusing is about the disk, not about reading."""
    path = derived.file("source", "a.bin", written(b"abc"))
    refusing = Derived([tmp_path / "derived"], limit=0)
    assert refusing.refused
    assert refusing.file("source", "a.bin", written(b"")) == path
    with pytest.raises(NotKeptError, match="derived_limit=0"):
        refusing.file("source", "b.bin", written(b""))


def test_open_files_are_never_pruned(derived):
    """Not by this process, not by another; closed or dead, they may be."""
    path = derived.file("source", "a.bin", written(b"abc"))
    hold = derived.hold([path])
    code = "import sys; from datarax_hf.derived import prune; print(prune(derived_dir=sys.argv[1]))"
    command = [sys.executable, "-c", code, str(derived.folders[0].parent)]
    freed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert int(freed) == derived.prune() == 0
    assert path.is_file()
    hold.close()
    hold.close()
    assert derived.prune() == 3
    assert not path.is_file()


def test_a_child_gives_up_nothing_that_its_parent_has_open(derived):
    path = derived.file("source", "a.bin", written(b"abc"))
    code = (
        "import os, sys; from pathlib import Path\n"
        "from datarax_hf.derived import Derived, prune\n"
        "hold = Derived([]).hold([Path(sys.argv[1])])\n"
        "if not os.fork(): hold.close(); os._exit(0)\n"
        "os.wait(); print(prune(derived_dir=sys.argv[2])); hold.close()\n"
        "print(prune(derived_dir=sys.argv[2]))"
    )
    command = [sys.executable, "-c", code, str(path), str(derived.folders[0].parent)]
    freed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert freed.split() == ["0", "3"]


def test_a_hold_ends_with_its_process(derived):
    """A lease of a process that was killed counts for nothing."""
    path = derived.file("source", "a.bin", written(b"abc"))
    code = (
        "import os, sys; from pathlib import Path; from datarax_hf.derived import Derived\n"
        "hold = Derived([]).hold([Path(sys.argv[1])]); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], check=True)
    assert list(derived.folders[0].glob(".open/*"))
    assert derived.prune() == 3
    assert kept(derived) == []


def test_pruning_keeps_what_was_asked(derived):
    """The newest stay."""
    for i in range(3):
        old(derived.file(f"s{i}", "x", written(bytes(10))), HOUR - i)
    assert prune(20, derived_dir=derived.folders[0].parent) == 10
    assert derived.find("s0", "x") is None
    assert derived.find("s2", "x") is not None


def test_the_first_folder_that_can_be_written_takes_what_is_built(tmp_path):
    """Files in the others are found all the same."""
    blocked = tmp_path / "blocked"
    blocked.write_bytes(b"a file, where a folder is due")
    given = Derived([tmp_path / "given"]).file("source", "a.bin", written(b"given"))
    derived = Derived([blocked / "derived", tmp_path / "own", tmp_path / "given"])
    assert derived.file("source", "a.bin", written(b"")) == given
    made = derived.file("source", "b.bin", written(b"own"))
    assert made.is_relative_to(tmp_path / "own")
    with pytest.raises(NotKeptError, match=r"none of the folders .*blocked.* can be written"):
        Derived([blocked / "derived"]).file("source", "a.bin", written(b""))


def test_the_folders_follow_the_option_the_environment_and_the_hub_cache(monkeypatch, tmp_path):
    """Beside the hub cache unless moved; then the user's own."""
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "DATARAX_CACHE", "DATARAX_CACHE_LIMIT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert derived_folders(None, None) == (
        tmp_path / "home" / "datarax",
        tmp_path / "xdg" / "datarax",
    )
    assert derived_folders(None, tmp_path / "hub")[0] == tmp_path / "datarax"
    monkeypatch.setenv("DATARAX_CACHE", str(tmp_path / "moved"))
    monkeypatch.setenv("DATARAX_CACHE_LIMIT", "7")
    assert derived_folders(None, None) == (tmp_path / "moved",)
    assert Derived.of(HFSourceConfig(name="mnist")).limit == 7
    for odd in ("abc", "-1", "1.5", "٣"):
        monkeypatch.setenv("DATARAX_CACHE_LIMIT", odd)
        with pytest.raises(ValueError, match=f"DATARAX_CACHE_LIMIT is a .* got '{odd}'"):
            Derived.of(HFSourceConfig(name="mnist"))
    config = HFSourceConfig(name="mnist", derived_dir=tmp_path / "option", derived_limit=8)
    assert Derived.of(config).folders[0].parent == tmp_path / "option"
    assert Derived.of(config).limit == 8


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"derived_limit": -1}, ValueError, "derived_limit is a number of bytes, 0 or more"),
        ({"derived_limit": True}, TypeError, "derived_limit is a number of bytes, got True"),
        ({"derived_limit": "1"}, TypeError, "derived_limit is a number of bytes, got '1'"),
        ({"derived_dir": ""}, TypeError, "derived_dir is a string that is not empty"),
        ({"derived_dir": 5}, TypeError, "derived_dir is a string that is not empty.*got 5"),
    ],
)
def test_options_of_the_derived_cache_are_checked(options, error, text):
    """As every option is."""
    with pytest.raises(error, match=text):
        HFSourceConfig(name="mnist", **options)


def test_a_blob_is_known_by_its_hash_and_other_files_by_their_path_and_time(tmp_path):
    """A snapshot's link and its blob are one source; a changed file is another one."""
    blob = tmp_path / "blobs" / ("ab" * 32)
    blob.parent.mkdir()
    blob.write_bytes(b"12345")
    link = tmp_path / "train.parquet"
    link.symlink_to(blob)
    assert contents_key(link) == contents_key(blob) == f"{'ab' * 32}-5"
    assert (
        source_key(link) == source_key(blob) == f"{contents_key(blob)}-{int(blob.stat().st_mtime)}"
    )
    plain = tmp_path / "plain.parquet"
    plain.write_bytes(b"12345")
    first = source_key(plain)
    assert first == source_key(plain)
    old(plain)
    assert source_key(plain) != first


@pytest.mark.parametrize("keep", [0, 40, -1])
def test_a_parsed_file_that_was_damaged_on_the_disk_is_made_again(tmp_path, keep):
    """Cut to nothing, within its head, or before its last byte."""
    (tmp_path / "train.csv").write_text("x\n1\n2\n")
    kept = tmp_path / "kept"
    for _ in range(2):
        with datarax.load(f"hf:{tmp_path / 'train.csv'}", derived_dir=kept) as source:
            assert [element["x"] for element in source] == [1, 2]
        (path,) = kept.rglob("*.arrow")
        path.write_bytes(path.read_bytes()[:keep])


def test_a_closed_source_lets_its_parsed_files_be_pruned(tmp_path):
    """And a reader that is still used makes them again."""
    (tmp_path / "train.csv").write_text("x\n1\n2\n")
    kept = tmp_path / "kept"
    source = datarax.load(f"hf:{tmp_path / 'train.csv'}", mode="lazy", derived_dir=kept)
    assert source[1]["x"] == 2
    assert prune(derived_dir=kept) == 0
    reader = source.reader
    source.close()
    assert prune(derived_dir=kept) > 0
    assert reader[1]["x"] == 2
