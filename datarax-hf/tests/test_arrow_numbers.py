"""Numbers of Arrow arrays are what `to_numpy` gives, and cost no import of pandas."""

import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest

from datarax_hf.arrow_numbers import numbers_of, places_of

TYPES = [
    *(pa.int8(), pa.uint8(), pa.int16(), pa.uint16(), pa.int32(), pa.uint32()),
    *(pa.int64(), pa.uint64(), pa.float16(), pa.float32(), pa.float64(), pa.bool_()),
    *(pa.date32(), pa.timestamp("us"), pa.duration("s")),
]


@pytest.mark.parametrize("kind", TYPES, ids=str)
@pytest.mark.parametrize("part", [(0, 0), (0, 41), (3, 7), (8, 9), (13, 28), (40, 1)])
def test_they_are_what_to_numpy_gives(kind, part):
    numbers = np.arange(41) % 3
    values = pa.array(numbers.astype(bool if pa.types.is_boolean(kind) else np.int64))
    whole = values.cast(pa.int32()).cast(kind) if pa.types.is_date(kind) else values.cast(kind)
    array = whole.slice(*part)
    found, expected = numbers_of(array), array.to_numpy(zero_copy_only=False)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


CHECK = """
import sys
import numpy as np, pyarrow as pa, pyarrow.compute as pc
from datarax_hf.arrow_numbers import numbers_of, places_of
for kind in (pa.int32(), pa.float64(), pa.bool_()):
    numbers_of(pc.cast(pc.random(9), kind, safe=False))
places_of(np.arange(9)[::2])
print("pandas" in sys.modules)
"""


def test_they_import_no_pandas():
    done = subprocess.run(
        [sys.executable, "-c", CHECK], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "False"


def test_places_are_the_same_rows():
    """Of any strides, and none."""
    rows = np.arange(20)
    for some in (rows, rows[::3], rows[::-1], rows[:0]):
        assert places_of(some).to_pylist() == some.tolist()
        assert places_of(some).type == pa.int64()
