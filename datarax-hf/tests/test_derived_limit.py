"""`derived_limit`: what all that was made of files takes on the disk, whatever is open."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import datarax
from datarax_hf import flat, prune

ROWS = 3000


@pytest.fixture
def derived(tmp_path):
    return tmp_path / "derived"


def taken(derived):
    """Return the bytes of the files made, leases left out."""
    files = [path for path in derived.rglob("*") if path.is_file() and ".open" not in path.parts]
    return sum(path.stat().st_size for path in files)


def lines(start, stop):
    return "x,t\n" + "".join(f"{row},text {row}\n" for row in range(start, stop))


@pytest.fixture
def written(tmp_path):
    """Three CSV files of a split, of some 100 kB each as Arrow files; return the name to load."""
    folder = tmp_path / "csv"
    folder.mkdir()
    for part in range(3):
        text = lines(part * ROWS, (part + 1) * ROWS)
        (folder / f"train-0000{part}-of-00003.csv").write_text(text)
    return f"hf:{folder}"


def total(source):
    return sum(int(np.asarray(batch["x"]).sum()) for batch in source.batches(1000))


@pytest.mark.parametrize("limit", [1000, 150_000])
def test_the_limit_holds_for_what_is_parsed(written, derived, limit):
    """What does not fit beside what is open lies in a temporary folder, and is read all the same."""
    for _ in range(2):
        with datarax.load(written, mode="lazy", derived_dir=derived, derived_limit=limit) as source:
            assert taken(derived) <= limit
            assert total(source) == sum(range(3 * ROWS))
        assert taken(derived) <= limit
    assert (taken(derived) > 0) == (limit > 1000)


@pytest.fixture
def columns(tmp_path, make, monkeypatch):
    """Two datasets of one column each, which is laid out on the disk; return their names."""
    monkeypatch.setattr(flat, "SMALL_BYTES", 0)
    names = []
    for part in range(2):
        folder = tmp_path / f"part{part}"
        folder.mkdir()
        values = np.arange(part, part + ROWS, dtype=np.int32)
        data = make.parquet({"x": values}, row_group_size=ROWS // 5)
        (folder / "train.parquet").write_bytes(data)
        names.append(f"hf:{folder}")
    return names


def test_the_limit_holds_for_all_that_is_open_at_once(columns, derived):
    """What does not fit beside it is decoded again, which a warning says; closed, it makes room."""
    limit = ROWS * 6
    options = {"mode": "lazy", "shuffle": True, "derived_dir": derived, "derived_limit": limit}
    first, second = columns
    with datarax.load(first, **options) as source:
        assert 0 < taken(derived) <= limit
        with pytest.warns(UserWarning, match="beyond the limit of 18,000, of which .* open take"):
            other = datarax.load(second, **options)
        with other:
            assert taken(derived) <= limit
            assert total(other) == sum(range(1, ROWS + 1))
        assert total(source) == sum(range(ROWS))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with datarax.load(second, **options):
            assert 0 < taken(derived) <= limit


@pytest.mark.parametrize("kind", ["parsed", "laid out"])
def test_what_a_closed_source_had_open_may_be_deleted(written, columns, derived, kind):
    """Also while the source is still there; one that is open keeps it."""
    uri = written if kind == "parsed" else columns[0]
    source = datarax.load(uri, mode="lazy", shuffle=True, derived_dir=derived)
    assert prune(derived_dir=derived) == 0
    source.close()
    assert prune(derived_dir=derived) > 0
    assert taken(derived) == 0
