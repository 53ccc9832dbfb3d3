"""What users met with other loaders, row by row, and what they meet here.

Each test is a row of the table that the project was given (docs/hf.md, "Errors"), by the real
huggingface_hub client against a loopback Hub. Other files test the same things in depth.
"""

from __future__ import annotations

import io
import socket
import warnings

import numpy as np
import pyarrow.parquet as pq
import pytest

import datarax
from datarax.errors import (
    CacheMissError,
    CorruptDataError,
    UnknownConfigError,
    UnknownDatasetError,
    UnknownSplitError,
)
from datarax.testing.offline import no_network
from datarax_hf import HubAccessError, HubConnectionError

NAMES = [f"data/train-0000{i}-of-00002.parquet" for i in range(2)]
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 9\n"


@pytest.fixture
def publish(hub, make):
    """Publish a/b: two shards of five numbers, with what else is given."""

    def put(files=None, *refs, dataset="a/b"):
        shards = {
            name: make.parquet({"x": np.arange(5) + 5 * i}, row_group_size=2, use_dictionary=False)
            for i, name in enumerate(NAMES)
        }
        return hub.publish(dataset, {**shards, **(files or {})}, *refs)

    return put


def numbers(source):
    return [int(record["x"]) for record in source.reader.__getitems__(range(len(source)))]


def test_a_canonical_name(hub, make):
    """`mnist` is ylecun/mnist, not an error about a URI that nobody wrote."""
    pixels, classes, data = make.digits(3)
    hub.redirects["mnist"] = "ylecun/mnist"
    hub.publish("ylecun/mnist", {"mnist/train-00000-of-00001.parquet": data})
    with datarax.load("hf:mnist") as source:
        assert [int(element["label"]) for element in source] == classes.tolist()
        np.testing.assert_array_equal(source[1]["image"], pixels[1])


def test_a_wrong_split(publish, hub):
    """It is said before any download, with the splits that there are."""
    publish()
    with pytest.raises(UnknownSplitError, match=r"'trian'.*'train'.*Did you mean 'train'"):
        datarax.load("hf:a/b", split="trian")
    assert hub.downloads() == []


@pytest.mark.parametrize(
    ("split", "position"), [("train[:10", 5), ("train[:x]", 7), ("train[1:2]]", 10), ("[:2]", 0)]
)
def test_a_bad_slice(publish, hub, split, position):
    """The position of the mistake is named."""
    publish()
    with pytest.raises(UnknownSplitError, match=f"position {position}"):
        datarax.load("hf:a/b", split=split)
    assert hub.downloads() == []


def test_a_slice_beyond_the_end(publish):
    """As lenient as others are: all records, as documented."""
    publish()
    with datarax.load("hf:a/b", split="train[:99999]") as source:
        assert numbers(source) == list(range(10))


def test_a_script_only_repository(hub, make):
    """The converted branch is read, and said; the script never runs."""
    hub.publish("a/b", {"b.py": "raise SystemExit('run!')", "README.md": "# b"})
    hub.publish("a/b", {"b/train/0000.parquet": make.parquet({"x": [7]})}, "refs/convert/parquet")
    with (
        pytest.warns(UserWarning, match=r"converted copy at 'refs/convert/parquet'"),
        datarax.load("hf:a/b") as source,
    ):
        assert numbers(source) == [7]


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda data: data[: len(data) // 2], "is truncated"),
        (lambda data: b"", "is empty"),
        (lambda data: POINTER, "is a git-lfs pointer"),
    ],
    ids=["truncated", "zero-byte", "pointer"],
)
@pytest.mark.parametrize("place", ["hub", "disk"])
def test_a_damaged_shard(publish, hub, make, cache, damage, said, place):
    """Published so or become so: the file, and the way to fetch it again."""
    shard = make.parquet({"x": np.arange(5)})
    commit = publish({NAMES[1]: damage(shard)} if place == "hub" else {NAMES[1]: shard})
    if place == "disk":
        datarax.load("hf:a/b").close()
        next(cache.glob(f"*/snapshots/*/{NAMES[1]}")).write_bytes(damage(shard))
    command = f"hf download a/b --repo-type dataset --revision {commit} --include {NAMES[1]}"
    with pytest.raises(CorruptDataError) as caught:
        datarax.load("hf:a/b")
    for text in (NAMES[1], said, command):
        assert text in str(caught.value)


def test_a_damaged_row_group(publish, make):
    """The row group is named where it is known."""
    data = bytearray(
        make.parquet({"x": np.arange(3000)}, row_group_size=1000, use_dictionary=False)
    )
    page = pq.read_metadata(io.BytesIO(data)).row_group(2).column(0).data_page_offset
    data[page : page + 16] = b"\xff" * 16
    publish({NAMES[1]: bytes(data)})
    with pytest.raises(CorruptDataError, match=rf"(?s){NAMES[1]}.*row group 2.*hf download"):
        datarax.load("hf:a/b", mode="eager")


def test_one_corrupt_byte_of_the_right_size(publish, hub, cache):
    """On the way it is fetched again; on the disk verify=True finds it."""
    publish()
    hub.fault(NAMES[0], flip=200)
    datarax.load("hf:a/b", verify=True).close()
    path = next(cache.glob(f"*/snapshots/*/{NAMES[0]}"))
    data = bytearray(path.read_bytes())
    data[200] ^= 1
    path.write_bytes(data)
    with pytest.raises(CorruptDataError, match=rf"{NAMES[0]}.*has the hash.*hf download"):
        datarax.load("hf:a/b", verify=True)


def test_schema_drift_between_shards(publish, make):
    """Both shards and the columns are named."""
    publish({NAMES[1]: make.parquet({"x": ["one"], "y": [1.0]})})
    with pytest.raises(CorruptDataError) as caught:
        datarax.load("hf:a/b")
    for text in (*NAMES, "'x'", "'y'", "int64", "string"):
        assert text in str(caught.value)


@pytest.mark.parametrize("mode", ["eager", "lazy", "streaming"])
def test_a_row_count_that_differs_from_the_card(publish, mode):
    """The files are right, and one warning says so."""
    card = "---\ndataset_info:\n  splits: [{name: train, num_examples: 99}]\n---\n"
    publish({"README.md": card})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with datarax.load("hf:a/b", mode=mode) as source:
            assert [int(record["x"]) for record in source] == list(range(10))
    said = [str(one.message) for one in caught if "99" in str(one.message)]
    assert len(said) == 1
    assert "10" in said[0]


def test_bad_yaml_in_the_card(publish):
    """Repository and line are named, and file names speak in its place."""
    publish({"README.md": "---\nconfigs:\n- config_name: [\n---\n"})
    with (
        pytest.warns(UserWarning, match=r"a/b/README\.md, line \d.*read from file names"),
        datarax.load("hf:a/b") as source,
    ):
        assert numbers(source) == list(range(10))


@pytest.mark.parametrize(
    ("refusal", "said"),
    [
        ((403, "GatedRepo", "Access is restricted"), r"is gated.*ask for it at .*/datasets/a/b"),
        ((403, "", "Access to this resource is disabled."), "has been disabled"),
        (
            (401, "", "Invalid credentials in Authorization header"),
            "refuses .* to the token of HF_TOKEN.*token=False where the dataset is public",
        ),
    ],
    ids=["gated", "disabled", "bad-token"],
)
def test_gated_disabled_or_a_bad_token(publish, hub, monkeypatch, refusal, said):
    """Which of them it is, and what to do."""
    publish()
    monkeypatch.setenv("HF_TOKEN", "hf_stale")
    hub.repos["a/b"].refusal = refusal
    with pytest.raises(HubAccessError, match=said) as caught:
        datarax.load("hf:a/b")
    assert isinstance(caught.value, UnknownDatasetError)


@pytest.mark.parametrize("status", [503, 429])
def test_a_busy_hub(publish, hub, status, caplog):
    """It is asked again, with waits that are said; then what it said is told."""
    publish()
    hub.fault("/revision/main", status=status, times=3)
    with datarax.load("hf:a/b") as source:
        assert numbers(source) == list(range(10))
    assert len([text for text in caplog.messages if f"HTTP {status}" in text]) == 3
    hub.repos["a/c"] = hub.repos["a/b"]
    hub.fault("/a/c/", status=status, times=99)
    with pytest.raises(HubConnectionError, match=f"HTTP {status}, 'too busy'"):
        datarax.load("hf:a/c")


def test_a_reset_in_mid_file(publish, hub):
    """The download goes on from where it was."""
    publish()
    hub.fault(NAMES[0], cut=300, reset=True)
    with datarax.load("hf:a/b") as source:
        assert numbers(source) == list(range(10))
    starts = [asked for name, asked in hub.ranges if name == NAMES[0]]
    assert starts[0] is None
    assert starts[1].startswith("bytes=")
    assert 0 < int(starts[1].removeprefix("bytes=").rstrip("-")) <= 300


def test_offline_with_a_cached_snapshot(publish, hub, cache):
    """What snapshot_download left is read."""
    from huggingface_hub import snapshot_download

    publish()
    snapshot_download("a/b", repo_type="dataset", cache_dir=cache, endpoint=hub.endpoint)
    with no_network(), datarax.load("hf:a/b", local_files_only=True, mode="lazy") as source:
        assert numbers(source) == list(range(10))


def test_offline_with_another_revision(publish):
    """A miss is a miss, and lists what is cached."""
    publish()
    datarax.load("hf:a/b").close()
    with no_network(), pytest.raises(CacheMissError, match=r"refs/v2(.|\n)*'main'"):
        datarax.load("hf:a/b@v2", local_files_only=True)


def test_offline_without_a_config(hub, make):
    """The same answer as online."""
    files = {f"{name}/train.parquet": make.parquet({"x": [1]}) for name in ("one", "two")}
    configs = "".join(f"- {{config_name: {n}, data_files: {n}/*}}\n" for n in ("one", "two"))
    hub.publish("a/b", {"README.md": f"---\nconfigs:\n{configs}---\n", **files})
    datarax.load("hf:a/b", config="two").close()
    said = []
    for only in (False, True):
        with pytest.raises(
            UnknownConfigError, match="'one', 'two' and none is the default"
        ) as caught:
            datarax.load("hf:a/b", local_files_only=only)
        said.append(str(caught.value))
    assert said[0] == said[1]


def test_a_server_that_is_down_with_nothing_cached(cache, monkeypatch, caplog):
    """It is waited for as others do, and said while it is."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{unused.getsockname()[1]}"
    monkeypatch.setenv("HF_ENDPOINT", endpoint)
    with pytest.raises(HubConnectionError, match=f"{endpoint} cannot be reached"):
        datarax.load("hf:a/b")
    assert sum("asking again in" in text for text in caplog.messages) == 5


def test_a_partial_snapshot_after_hf_hub_download(publish, hub, cache):
    """Each missing file is named."""
    from huggingface_hub import hf_hub_download

    publish()
    path = hf_hub_download(
        "a/b", NAMES[0], repo_type="dataset", cache_dir=cache, endpoint=hub.endpoint
    )
    with no_network(), pytest.raises(CacheMissError) as caught:
        datarax.load("hf:a/b", local_files_only=True)
    missing = str(caught.value).split("Missing:\n")[1].splitlines()[0].strip()
    assert missing == path.replace("00000-of", "00001-of")


@pytest.mark.parametrize(
    "name",
    [
        "../../train.parquet",
        "/etc/train.parquet",
        "C:/train.parquet",
        "\\\\host\\share\\train.parquet",
    ],
    ids=["climbing", "absolute", "drive", "unc"],
)
def test_hostile_file_names(hub, make, cache, tmp_path, name):
    """Refused on every path: load, fetch, inspect and verify; nothing is written elsewhere."""
    from datarax.registry.loading import fetch, verify

    data = make.parquet({"x": [1]})
    commit = hub.publish("a/b", {name: data})
    outside = {path for path in tmp_path.rglob("*") if cache not in path.parents}
    errors = (CorruptDataError, UnknownConfigError, UnknownDatasetError)
    for act in (datarax.load, fetch, datarax.inspect):
        with pytest.raises(errors):
            act("hf:a/b")
    repo = cache / "datasets--a--b"
    (repo / "snapshots" / commit).mkdir(parents=True, exist_ok=True)
    (repo / "refs").mkdir(exist_ok=True)
    (repo / "refs" / "main").write_text(commit)
    for act in (datarax.load, fetch, datarax.inspect, verify):
        with pytest.raises((*errors, CacheMissError)):
            act("hf:a/b", local_files_only=True)
    assert hub.downloads() == []
    assert {path for path in tmp_path.rglob("*") if cache not in path.parents} == outside
