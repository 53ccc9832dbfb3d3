"""Online: what is asked of the Hub, what is downloaded, and what is said when it refuses."""

from __future__ import annotations

import json
import socket

import numpy as np
import pytest

import datarax
from datarax.errors import (
    CacheMissError,
    CorruptDataError,
    UnknownConfigError,
    UnknownDatasetError,
    UnknownSplitError,
)
from datarax_hf import HFSourceConfig, HubAccessError, HubConnectionError

CARD = """---
configs:
- config_name: small
  data_files:
  - {split: train, path: small/train-*}
  - {split: test, path: small/test-*}
- config_name: large
  data_files:
  - {split: train, path: "large/*.parquet"}
---
"""


@pytest.fixture
def numbers(hub, make):
    """Publish a/b with two splits of numbers."""

    def publish(offset=0, *refs):
        files = {
            "README.md": "# numbers",
            "data/train-00000-of-00002.parquet": make.parquet({"x": np.arange(3) + offset}),
            "data/train-00001-of-00002.parquet": make.parquet({"x": np.arange(3, 5) + offset}),
            "data/test-00000-of-00001.parquet": make.parquet({"x": np.arange(7, 9) + offset}),
            "raw/huge.bin": b"0" * 1000,
        }
        return hub.publish("a/b", files, *refs)

    return publish


def values(reader):
    return reader.read(np.arange(len(reader)), ["x"])["x"].tolist()


def test_a_download_is_read_again_with_no_socket(numbers, open_reader, offline, air_gap, hub):
    """What came over the network gives the same records from the cache alone."""
    commit = numbers()
    online = open_reader("a/b")
    assert online.identity["revision"] == commit
    air_gap()
    again = offline("a/b")
    assert values(again) == values(online) == [0, 1, 2, 3, 4]
    assert again.identity == online.identity


def test_only_files_of_the_split_are_downloaded(numbers, open_reader, offline, hub):
    """Other splits and other files stay on the Hub, and offline they are a miss by name."""
    numbers()
    open_reader("a/b", split="test[:1]")
    assert hub.downloads() == ["data/test-00000-of-00001.parquet"]
    with pytest.raises(CacheMissError) as caught:
        offline("a/b", split="train")
    for number in (0, 1):
        assert f"data/train-0000{number}-of-00002.parquet" in str(caught.value)
    open_reader("a/b", split="train+test")
    assert len(hub.downloads()) == 3


def test_what_is_cached_is_not_downloaded_again(numbers, open_reader, hub):
    """A second load asks for the commit and for no file; one by commit asks nothing."""
    commit = numbers()
    open_reader("a/b")
    hub.requests.clear()
    open_reader("a/b")
    assert {path for _, path in hub.requests} <= {
        "/api/datasets/a/b/revision/main",
        "/api/agent-harnesses",
    }
    hub.requests.clear()
    open_reader("a/b", revision=commit)
    assert hub.requests == []


@pytest.mark.parametrize(
    ("options", "error", "known"),
    [
        ({"split": "trian", "config": "small"}, UnknownSplitError, "'train', 'test'"),
        ({"split": "train[:x]", "config": "small"}, UnknownSplitError, "position 7"),
        ({"config": "smal"}, UnknownConfigError, "Did you mean 'small'?"),
        ({}, UnknownConfigError, "'small', 'large'"),
    ],
)
def test_a_wrong_split_or_config_is_said_before_any_download(
    hub, make, open_reader, options, error, known
):
    """No data file is asked for; the text lists what exists."""
    data = make.parquet({"x": [1]})
    names = ["small/train-0.parquet", "small/test-0.parquet", "large/a.parquet"]
    hub.publish("a/b", {"README.md": CARD, **dict.fromkeys(names, data)})
    with pytest.raises(error) as caught:
        open_reader("a/b", **options)
    assert known in str(caught.value)
    assert hub.downloads() == []


def test_a_short_name_is_read_under_the_name_the_hub_answers(
    hub, make, open_reader, offline, air_gap
):
    """`mnist` redirects to `ylecun/mnist`, which the cache then keeps it under."""
    pixels, _, data = make.digits(4)
    hub.redirects["mnist"] = "ylecun/mnist"
    hub.publish("ylecun/mnist", {"mnist/train-00000-of-00001.parquet": data})
    reader = open_reader("mnist")
    np.testing.assert_array_equal(reader[3]["image"], pixels[3])
    air_gap()
    for name in ("mnist", "ylecun/mnist"):
        np.testing.assert_array_equal(offline(name)[3]["image"], pixels[3])


def test_revisions_are_kept_apart(numbers, open_reader, offline):
    """A tag, a branch and a commit each give their own data, online and offline."""
    first = numbers(0, "v1", "main")
    second = numbers(100, "main")
    for load in (open_reader, offline):
        assert values(load("a/b", revision="v1"))[0] == 0
        assert values(load("a/b"))[0] == 100
        assert values(load("a/b", revision=first))[0] == 0
        assert (
            values(load("a/b", revision=second[:9]) if load is offline else load("a/b"))[0] == 100
        )


def test_a_branch_that_moved_is_read_anew_online_and_as_cached_offline(
    numbers, open_reader, offline
):
    """Online `main` is what it is now; offline it is what it was when last read."""
    numbers(0)
    open_reader("a/b")
    numbers(100)
    assert values(offline("a/b"))[0] == 0
    assert values(open_reader("a/b"))[0] == 100
    assert values(offline("a/b"))[0] == 100


def test_an_unknown_dataset_is_said_with_the_nearest_name(hub, open_reader):
    """A 404 is a LookupError that names the dataset and the Hub."""
    with pytest.raises(UnknownDatasetError, match=r"no dataset 'mnits'.*Did you mean 'mnist'"):
        open_reader("mnits")


def test_an_unknown_revision_is_said(numbers, open_reader):
    """The dataset is there, the revision is not."""
    numbers()
    with pytest.raises(UnknownDatasetError, match=r"'a/b'.*no revision 'v9'"):
        open_reader("a/b", revision="v9")


def test_a_gated_dataset_says_where_to_ask_for_access(numbers, hub, open_reader):
    """Its files are refused with 403."""
    numbers()
    hub.repos["a/b"].gated = True
    with pytest.raises(HubAccessError, match=r"gated, and .*ask for it at .*/datasets/a/b"):
        open_reader("a/b")


@pytest.mark.parametrize(
    ("refusal", "said"),
    [
        ((401, "", "Invalid credentials in Authorization header"), "refuses.*HTTP 401"),
        ((403, "", "Forbidden"), "refuses.*HTTP 403"),
        ((403, "", "Access to this resource is disabled."), "has been disabled"),
        ((401, "GatedRepo", "Access is restricted"), "is gated"),
        ((401, "RepoNotFound", "Repository not found"), "no dataset 'a/b', or it is private"),
    ],
)
def test_a_refusal_says_which_it_is(numbers, hub, open_reader, refusal, said):
    """Bad token, no access, disabled, gated and hidden are told apart."""
    numbers()
    hub.repos["a/b"].refusal = refusal
    with pytest.raises(UnknownDatasetError, match=said):
        open_reader("a/b")


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_hub_is_a_connection_error_that_says_what_it_answered(
    numbers, hub, open_reader, status
):
    """Nothing is cached, so nothing else can be done."""
    numbers()
    hub.failing = status
    with pytest.raises(HubConnectionError, match=f"HTTP {status}") as caught:
        open_reader("a/b")
    assert isinstance(caught.value, ConnectionError)


def test_a_dead_server_is_a_connection_error(cache, open_reader, monkeypatch):
    """No route is said with the endpoint and the way to read the cache."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{port}")
    with pytest.raises(HubConnectionError, match=f"127.0.0.1:{port} cannot be reached"):
        open_reader("a/b")


def test_a_busy_hub_over_a_full_cache_warns_and_reads_the_cache(numbers, hub, open_reader):
    """The commit that is read is named."""
    commit = numbers()
    open_reader("a/b")
    hub.failing = 503
    with pytest.warns(UserWarning, match=f"HTTP 503.*cached commit {commit} is read"):
        assert values(open_reader("a/b")) == [0, 1, 2, 3, 4]


def test_repositories_without_parquet_are_read_from_the_converted_branch(hub, make, open_reader):
    """refs/convert/parquet is read in their place, and loading scripts never run."""
    hub.publish("a/b", {"b.py": "raise SystemExit", "data.tar": "x"})
    data = make.parquet({"x": [5, 6]})
    hub.publish("a/b", {"default/train/0000.parquet": data}, "refs/convert/parquet")
    assert values(open_reader("a/b")) == [5, 6]


def test_a_repository_without_parquet_or_conversion_is_said(hub, open_reader):
    """What is not read is named."""
    hub.publish("a/b", {"data.tar": "x"})
    with pytest.raises(
        UnknownDatasetError,
        match=r"but webdataset files; read are parquet.*keeps no converted copy",
    ):
        open_reader("a/b")


@pytest.mark.parametrize("name", ["/etc/train.parquet", "train-x\\y.parquet", "C:/train.parquet"])
def test_a_hostile_file_name_is_refused(hub, make, open_reader, name):
    """A listing cannot lead out of the cache."""
    data = make.parquet({"x": [1]})
    hub.publish("a/b", {name: data, "train.parquet": data})
    with pytest.raises(CorruptDataError, match="leaves its folder"):
        open_reader("a/b")
    assert hub.downloads() == []


def test_a_file_name_that_climbs_is_not_seen(hub, make, open_reader):
    """A part that begins with a dot is hidden, as the Hub's conventions have it."""
    data = make.parquet({"x": [1]})
    hub.publish("a/b", {"../../train.parquet": data, "train.parquet": data})
    assert len(open_reader("a/b")) == 1


@pytest.fixture
def give_token(cache, monkeypatch):
    """Give a token in one of the usual places, and return the options and the words for it."""

    def give(where, token):
        if where == "token=":
            return {"token": token}, "the token of token="
        if where == "file":
            (cache.parent / "token").write_text(token)
            return {}, f"the token in {cache.parent / 'token'}"
        monkeypatch.setenv(where, token)
        return {}, f"the token of {where}"

    return give


@pytest.mark.parametrize("where", ["HF_TOKEN", "file", "token="])
def test_a_private_dataset_opens_by_a_token_from_the_usual_places(
    numbers, hub, open_reader, give_token, where
):
    """The environment, the file of `hf auth login`, or the option."""
    numbers()
    hub.repos["a/b"].token = "hf_secret"
    with pytest.raises(UnknownDatasetError, match="private and a request without a token may not"):
        open_reader("a/b")
    options, _ = give_token(where, "hf_secret")
    assert values(open_reader("a/b", **options)) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("where", ["HF_TOKEN", "file", "token="])
def test_a_refused_token_is_named_by_where_it_comes_from(
    numbers, hub, open_reader, give_token, where
):
    """A stale token on a public dataset: never its text, always its place and the way out."""
    numbers()
    hub.repos["a/b"].refusal = (401, "", "Invalid credentials in Authorization header")
    options, place = give_token(where, "hf_secret")
    with pytest.raises(HubAccessError) as caught:
        open_reader("a/b", **options)
    for text in (place, "Invalid credentials", "hf auth whoami", "token=False"):
        assert text in str(caught.value)
    assert "hf_secret" not in str(caught.value)


def test_a_token_is_not_sent_where_it_is_declined(numbers, hub, open_reader, monkeypatch):
    """token=False is no token, whatever the environment has."""
    numbers()
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    open_reader("a/b", token=False)
    assert {token for _, _, token in hub.tokens} == {None}


def test_a_token_that_must_be_there_and_is_not_is_said(numbers, open_reader):
    """token=True asks for one."""
    numbers()
    with pytest.raises(HubAccessError, match=r"token=True, and no token was found.*HF_TOKEN"):
        open_reader("a/b", token=True)


def test_a_token_in_the_config_is_not_shown():
    """It is no part of the config's repr."""
    assert "hf_secret" not in repr(HFSourceConfig(name="a/b", token="hf_secret"))


def test_the_beginning_of_a_commit_is_enough(numbers, open_reader, offline, hub):
    """Online too, cached or not; a beginning of none is unknown."""
    first = numbers(0)
    numbers(100)
    assert values(open_reader("a/b", revision=first[:8])) == [0, 1, 2, 3, 4]
    assert values(offline("a/b", revision=first[:8])) == [0, 1, 2, 3, 4]
    unknown = "0123456" if not first.startswith("0123456") else "1234567"
    with pytest.raises(UnknownDatasetError, match=f"no revision '{unknown}'"):
        open_reader("a/b", revision=unknown)


def test_a_dataset_that_moved_is_found_offline_under_its_old_name(
    numbers, hub, open_reader, offline, air_gap
):
    """The Hub redirects; what it said then is known afterwards, whichever name is asked for."""
    numbers()
    hub.redirects["old/name"] = "a/b"
    assert values(open_reader("old/name")) == [0, 1, 2, 3, 4]
    air_gap()
    for name in ("old/name", "a/b"):
        reader = offline(name)
        assert values(reader) == [0, 1, 2, 3, 4]
    with pytest.raises(CacheMissError):
        offline("other/name")


def test_a_pull_request_is_a_revision(numbers, open_reader, offline):
    """As any other ref."""
    numbers(0)
    numbers(100, "refs/pr/1")
    assert values(open_reader("a/b", revision="refs/pr/1"))[0] == 100
    assert values(offline("a/b", revision="refs/pr/1"))[0] == 100


@pytest.mark.parametrize(
    "answer", [{"id": "../../etc"}, {"sha": "../../../etc"}, {"sha": None}, {"siblings": None}]
)
def test_an_answer_that_cannot_be_is_refused(numbers, hub, open_reader, cache, answer):
    """What the Hub calls a dataset and its commit become folders of the cache."""
    numbers()
    hub.repos["a/b"].said = answer
    with pytest.raises(HubConnectionError, match="answered for the dataset 'a/b'"):
        open_reader("a/b")
    assert list(cache.iterdir()) == []


def test_a_listing_with_a_hash_that_is_none_is_refused(numbers, hub, open_reader):
    """Hashes become files of the cache."""
    numbers()
    hub.repos["a/b"].said = {"oid": "../../../../evil"}
    with pytest.raises(CorruptDataError, match="which is no hash"):
        open_reader("a/b")


def test_a_refusal_says_what_the_cache_holds(numbers, hub, open_reader, offline):
    """A dataset that was deleted, disabled or closed is still read from the cache, when told to."""
    commit = numbers()
    open_reader("a/b")
    for refusal in ((403, "", "Access to this resource is disabled."), (401, "RepoNotFound", "")):
        hub.repos["a/b"].refusal = refusal
        with pytest.raises(
            UnknownDatasetError, match=f"holds its commit {commit}, which local_files"
        ):
            open_reader("a/b")
    assert values(offline("a/b")) == [0, 1, 2, 3, 4]


def test_a_listing_goes_on_at_the_hub_that_was_asked(hub, make, open_reader, monkeypatch):
    """Where a mirror passes on the addresses of the Hub behind it, which the token is not for."""
    data = {f"train-{part}.parquet": make.parquet({"x": [part]}) for part in range(5)}
    hub.publish("a/b", data)
    hub.page, hub.upstream = 2, "http://localhost:9"
    assert values(open_reader("a/b", token="hf_secret")) == [0, 1, 2, 3, 4]
    assert {host for _, host, _ in hub.tokens} == {hub.endpoint.removeprefix("http://")}


def test_a_listing_without_an_end_is_said(hub, make, open_reader, monkeypatch):
    """Rather than followed."""
    hub.publish("a/b", {"train.parquet": make.parquet({"x": [1]})})
    page = f"{hub.endpoint}/api/datasets/a/b/tree/x"
    link = {"Link": f'<{page}>; rel="next"'}
    hub.fault("/tree/", status=200, headers=link, body=b"[]", times=9)
    with pytest.raises(HubConnectionError, match="without an end"):
        open_reader("a/b")


@pytest.mark.parametrize("listed", ["test.parquet", None])
def test_a_listing_that_was_cut_short_is_not_kept(hub, make, open_reader, offline, listed):
    """What it has is read, what it lacks is said to be lacking, and the next load asks again."""
    data = {f"{split}.parquet": make.parquet({"x": [1]}) for split in ("test", "train")}
    commit = hub.publish("a/b", data)
    entry = {"type": "file", "path": listed, "size": len(data["test.parquet"]), "oid": "0" * 40}
    body = json.dumps([entry] if listed else []).encode()
    hub.fault("/tree/", status=200, body=body, times=9)
    with pytest.raises(HubConnectionError, match="'train.parquet'.*cut short"):
        open_reader("a/b", split="train")
    hub.faults.clear()
    assert values(open_reader("a/b", split="train")) == [1]
    assert values(open_reader("a/b", split="test", revision=commit)) == [1]
    assert values(offline("a/b", split="train")) == [1]


@pytest.mark.parametrize(
    "body", [b"<html>please log in</html>", b"[]", b'{"error": "no"}', b"null"], ids=repr
)
def test_an_answer_that_is_no_hubs_is_said_and_the_cache_is_read(hub, make, open_reader, body):
    """As a login page on the way gives it."""
    hub.publish("a/b", {"train.parquet": make.parquet({"x": [1]})})
    hub.fault("/revision/main", status=200, body=body, times=9)
    with pytest.raises(HubConnectionError, match="proxy or a login page"):
        open_reader("a/b")
    hub.faults.clear()
    open_reader("a/b")
    hub.fault("/revision/main", status=200, body=body, times=9)
    with pytest.warns(UserWarning, match="proxy or a login page"):
        assert values(open_reader("a/b")) == [1]


def test_a_colon_in_a_file_name_leads_nowhere(tmp_path, make):
    """But a drive does, which is another test."""
    (tmp_path / "12:30:05.parquet").write_bytes(make.parquet({"x": [1, 2]}))
    assert len(datarax.load(f"hf:{tmp_path}", mode="lazy")) == 2


@pytest.mark.parametrize(
    "address", ["not a url", "http://[::1", "ftp://a", "http://", "http://a:b"]
)
def test_what_is_no_address_of_a_hub_is_said(hub, make, open_reader, monkeypatch, address):
    """And what is cached is read."""
    hub.publish("a/b", {"train.parquet": make.parquet({"x": [1]})})
    endpoint = hub.endpoint
    monkeypatch.setenv("HF_ENDPOINT", address)
    with pytest.raises(HubConnectionError, match="HF_ENDPOINT is .* no address of a Hub"):
        open_reader("a/b")
    monkeypatch.setenv("HF_ENDPOINT", endpoint)
    open_reader("a/b")
    monkeypatch.setenv("HF_ENDPOINT", address)
    with pytest.warns(UserWarning, match="no address of a Hub"):
        assert values(open_reader("a/b")) == [1]
