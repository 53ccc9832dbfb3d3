"""Source URIs: what parses, to what, and what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datarax.errors import InvalidURIError
from datarax.registry import SourceURI, parse_uri
from datarax.registry.uri import is_scheme


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("hf:mnist", ("hf", "mnist", None, {})),
        (
            "hf:nyu-mll/glue@main?config=cola&split=validation",
            ("hf", "nyu-mll/glue", "main", {"config": "cola", "split": "validation"}),
        ),
        ("tfds:mnist:3.0.1", ("tfds", "mnist:3.0.1", None, {})),
        (
            "arrayrecord:data/train-*.array_record",
            ("arrayrecord", "data/train-*.array_record", None, {}),
        ),
        ("memory:", ("memory", "", None, {})),
        ("memory:?shuffle=true", ("memory", "", None, {"shuffle": "true"})),
        ("HF:Mnist", ("hf", "Mnist", None, {})),
        ("a-b_1:x", ("a-b_1", "x", None, {})),
        ("x:a%40b%3Fc%25d", ("x", "a@b?c%d", None, {})),
        ("x:/a b/c", ("x", "/a b/c", None, {})),
        ("x:t@refs/pr/1", ("x", "t", "refs/pr/1", {})),
        ("x:t?split=train%5B%3A80%25%5D", ("x", "t", None, {"split": "train[:80%]"})),
        ("x:t?", ("x", "t", None, {})),
        ("x:t?empty=", ("x", "t", None, {"empty": ""})),
        ("x:t?a=1&a=1", ("x", "t", None, {"a": "1"})),
    ],
)
def test_a_uri_has_a_scheme_a_target_a_revision_and_options(text, parts):
    uri = parse_uri(text)
    assert (uri.scheme, uri.target, uri.revision, dict(uri.options)) == parts


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("mnist", "names no scheme, and none is guessed"),
        ("", "names no scheme"),
        (":mnist", "the scheme '' is not a word"),
        ("h f:mnist", "the scheme 'h f' is not a word"),
        ("1hf:mnist", "the scheme '1hf' is not a word"),
        ("hf/x:mnist", "the scheme 'hf/x' is not a word"),
        ("hf\n:mnist", "is not a word"),
        ("héf:mnist", "is not a word"),
        ("hf:mnist@", "a revision is expected after '@'"),
        ("hf:mnist?split", "is not key=value"),
        ("hf:mnist?a=1&&b=2", "is not key=value"),
        ("hf:mnist?a=1&a=2", "gives the option 'a' twice: '1' and '2'"),
    ],
)
def test_a_malformed_uri_is_refused_with_what_is_wrong(text, what):
    with pytest.raises(InvalidURIError, match=what) as caught:
        parse_uri(text)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("text", [None, 3, b"hf:mnist", ["hf:mnist"]])
def test_a_uri_is_a_string(text):
    with pytest.raises(TypeError, match="a source URI is a string, got"):
        parse_uri(text)


def test_a_uri_is_hashable_and_frozen():
    uri = parse_uri("hf:mnist?split=train")
    assert hash(uri) == hash(parse_uri("hf:mnist?split=train"))
    with pytest.raises(AttributeError):
        uri.scheme = "tfds"


words = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=12)


@given(
    scheme=st.from_regex(r"[a-z][a-z0-9_-]{0,8}", fullmatch=True),
    target=words,
    revision=st.none() | words.filter(bool),
    options=st.dictionaries(words, words, max_size=3),
)
def test_what_is_written_is_read_back(scheme, target, revision, options):
    uri = SourceURI(scheme, target, revision, options)
    again = parse_uri(str(uri))
    assert (again.scheme, again.target, again.revision, dict(again.options)) == (
        scheme,
        target,
        revision,
        options,
    )


def test_is_scheme_tells_words():
    assert all(map(is_scheme, ("hf", "a1", "a-b", "A_b")))
    assert not any(map(is_scheme, ("", "1a", "a b", "a:", "-a", "a\n")))
