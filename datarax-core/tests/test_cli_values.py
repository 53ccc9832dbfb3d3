"""Values of records: short for a person, whole and valid JSON for a program."""

import datetime as dt
import decimal
import json

import ml_dtypes
import numpy as np
import pytest

from datarax.cli.values import as_json, as_text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "True"),
        (3, "3"),
        (0.1 + 0.2, "0.3"),
        (np.float32(1.5), "1.5"),
        (np.int64(7), "7"),
        ("two\nlines\t", "two\\nlines\\t"),
        (b"\x00\xff", "bytes[2] 00ff"),
        (bytes(20), f"bytes[20] {'00' * 16}…"),
        (b"", "bytes[0]"),
        (np.zeros((2, 2), np.uint8), "uint8[2,2] 0 0 0 0"),
        (np.arange(100, dtype=np.int16), "int16[100] 0 1 2 3 4 5 …"),
        (np.zeros((0, 3), np.float32), "float32[0,3]"),
        ([1, 2, 3], "[1, 2, 3]"),
        (list(range(9)), "list[9] 0, 1, 2, 3, 4, 5, …"),
        ({"a": 1, "b": [None]}, "{a: 1, b: [null]}"),
        (np.datetime64("2024-01-02"), "2024-01-02"),
        (np.array(["a", "b"]), "<U1[2] a b"),
        (np.array("a"), "a"),
        (dt.date(2024, 1, 2), "2024-01-02"),
    ],
    ids=repr,
)
def test_a_value_is_one_short_line(value, text):
    assert as_text(value) == text


def test_a_value_is_cut_to_its_limit():
    assert as_text("x" * 50, 10) == "x" * 9 + "…"


def test_a_class_has_its_name_beside_it():
    names = ("cat", "dog")
    assert as_text(np.int64(1), class_names=names) == "1 (dog)"
    assert as_text(np.array(0), class_names=names) == "0 (cat)"
    assert as_text(-1, class_names=names) == "-1"
    assert as_text(2, class_names=names) == "2"
    assert as_text(None, class_names=names) == "null"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (True, True),
        (np.bool_(True), True),
        (2**70, 2**70),
        (np.uint64(2**64 - 1), 2**64 - 1),
        (1.5, 1.5),
        (float("nan"), "NaN"),
        (np.float32("inf"), "Infinity"),
        (np.array([1.0, -np.inf]), [1.0, "-Infinity"]),
        (1 + 2j, [1.0, 2.0]),
        (np.array([1j]), [[0.0, 1.0]]),
        ("é", "é"),
        (b"\x00\x01", {"base64": "AAE="}),
        (np.array([b"\x01"]), [{"base64": "AQ=="}]),
        (np.array(["a"]), ["a"]),
        (np.array([None, "a", 1], object), [None, "a", 1]),
        (np.array([[1, 2]], np.int8), [[1, 2]]),
        (np.zeros((0, 2)), []),
        (np.array([1.5], ml_dtypes.bfloat16), [1.5]),
        (np.array(["2024-01-02"], "M8[D]"), ["2024-01-02"]),
        (np.datetime64("NaT", "s"), "NaT"),
        (dt.datetime(2024, 1, 2, 3, 4, tzinfo=dt.UTC), "2024-01-02T03:04:00+00:00"),
        (dt.timedelta(seconds=1), "0:00:01"),
        (decimal.Decimal("1.10"), "1.10"),
        ({"a": (1, [2])}, {"a": [1, [2]]}),
        ({1: {2}}, {"1": [2]}),
    ],
    ids=repr,
)
def test_a_value_is_whole_in_json(value, expected):
    assert as_json(value) == expected
    assert json.loads(json.dumps(as_json(value), allow_nan=False)) == expected
