"""Tokens: where they are found when a dataset is loaded, and that no text shows one."""

from __future__ import annotations

import logging
import traceback

import pytest

import datarax
from datarax.errors import UnknownDatasetError
from datarax_hf import HubAccessError, HubConnectionError, HubTokenError

SECRET = "hf_sEcReTsEcReT"  # of no account
BAD = ["", " ", f"{SECRET}\nx", f"{SECRET} x", f"{SECRET}é", f"\x00{SECRET}"]


@pytest.fixture
def private(hub, make):
    """Publish a/b, which only the token SECRET opens."""
    hub.publish("a/b", {"train.parquet": make.parquet({"x": [1, 2]})})
    hub.repos["a/b"].token = SECRET
    return hub


def numbers(**options):
    with datarax.load("hf:a/b", **options) as source:
        return [int(record["x"]) for record in source]


def read(mode, **options):
    """Load, or inspect, and return the error with all it says, its causes too."""
    try:
        if mode == "inspect":
            datarax.inspect("hf:a/b", **options)
        else:
            numbers(mode=mode, **options)
    except Exception as error:  # what it is, the test says
        return error, "".join(traceback.format_exception(error))
    raise AssertionError("it was read")


@pytest.mark.parametrize("around", ["{}\n", " {} ", "\t{}\r\n"])
@pytest.mark.parametrize("place", ["token=", "HF_TOKEN", "file"])
def test_blanks_around_a_token_do_no_harm(private, cache, monkeypatch, around, place):
    """They come with a copy, or with `echo`."""
    token, options = around.format(SECRET), {}
    if place == "token=":
        options["token"] = token
    elif place == "file":
        (cache.parent / "token").write_text(token)
    else:
        monkeypatch.setenv(place, token)
    assert numbers(**options) == [1, 2]


@pytest.mark.parametrize("mode", ["eager", "lazy", "streaming", "inspect"])
@pytest.mark.parametrize("token", BAD)
def test_what_cannot_be_a_token_is_refused_and_not_shown(private, mode, token):
    """It is a ValueError, before anything is asked."""
    error, told = read(mode, token=token)
    assert isinstance(error, HubTokenError)
    assert isinstance(error, ValueError)
    assert "token=" in str(error)
    assert SECRET not in told
    assert private.requests == []


@pytest.mark.parametrize("token", BAD[2:-1])
@pytest.mark.parametrize("place", ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "file"])
def test_a_bad_token_of_the_usual_places_is_named_by_its_place(
    private, cache, monkeypatch, place, token
):
    """Whether it is one of the environment or of the file."""
    if place == "file":
        (cache.parent / "elsewhere").write_text(token)
        monkeypatch.setenv("HF_TOKEN_PATH", str(cache.parent / "elsewhere"))
    else:
        monkeypatch.setenv(place, token)
    error, told = read("lazy")
    assert isinstance(error, HubTokenError)
    assert (str(cache.parent / "elsewhere") if place == "file" else place) in str(error)
    assert SECRET not in told


def test_a_token_file_that_cannot_be_read_is_said(private, cache):
    """A folder in its place, and bytes that are no text."""
    place = cache.parent / "token"
    place.write_bytes(b"\xff" + SECRET.encode())
    error, told = read("lazy")
    assert isinstance(error, HubTokenError)
    assert str(place) in str(error)
    assert SECRET not in told
    place.unlink()
    place.mkdir()
    assert isinstance(read("lazy")[0], HubTokenError)


@pytest.mark.parametrize("mode", ["eager", "lazy", "streaming", "inspect"])
def test_a_server_that_repeats_the_token_is_quoted_without_it(private, mode, caplog, monkeypatch):
    """In the error, in what it came from, and in what is logged."""
    caplog.set_level(logging.DEBUG, logger="datarax_hf")
    monkeypatch.setenv("DATARAX_HF_RETRIES", "1")
    private.repos["a/b"].token = None
    for status, kind in ((401, HubAccessError), (503, HubConnectionError)):
        private.repos["a/b"].refusal = (status, "", f"no {SECRET} here")
        error, told = read(mode, token=SECRET)
        assert isinstance(error, kind)
        assert "no <token> here" in str(error)
        assert SECRET not in told
    assert "no <token> here" in caplog.text
    assert SECRET not in caplog.text


def test_the_places_are_looked_at_when_a_dataset_is_loaded(private, cache, tmp_path, monkeypatch):
    """HF_TOKEN_PATH and HF_HOME count as they are now, not as the client found them."""
    with pytest.raises(UnknownDatasetError, match="a request without a token may not see it"):
        numbers()
    (tmp_path / "own").write_text(f"{SECRET}\n")
    monkeypatch.setenv("HF_TOKEN_PATH", str(tmp_path / "own"))
    assert numbers() == [1, 2]
    assert numbers(mode="streaming") == [1, 2]
    monkeypatch.delenv("HF_TOKEN_PATH")
    (cache.parent / "token").write_text("hf_another")
    other = tmp_path / "other"
    other.mkdir()
    monkeypatch.setenv("HF_HOME", str(other))
    with pytest.raises(UnknownDatasetError, match="a request without a token may not see it"):
        numbers()
    (other / "token").write_text(SECRET)
    assert numbers() == [1, 2]


def test_no_token_is_sent_where_the_environment_says_so(private, monkeypatch):
    """HF_HUB_DISABLE_IMPLICIT_TOKEN, as the client has it; token=True asks for one all the same."""
    monkeypatch.setenv("HF_TOKEN", SECRET)
    monkeypatch.setenv("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")
    with pytest.raises(UnknownDatasetError, match="a request without a token"):
        numbers()
    assert {token for _, _, token in private.tokens} == {None}
    assert numbers(token=True) == [1, 2]
