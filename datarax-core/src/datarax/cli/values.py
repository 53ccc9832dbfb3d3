"""Values of records: shortened for a person, whole for a program.

JSON has no bytes, infinities or dates: bytes are {"base64": text}, numbers that are not finite are
"NaN", "Infinity" and "-Infinity", dates and times ISO 8601 text, decimals their digits, complex
numbers [real, imaginary].
"""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from datarax.cli.tables import shorten

SHOWN = 6
"""How many values of an array or a list are shown."""


def as_text(
    value: Any, limit: int | None = None, class_names: tuple[str, ...] | None = None
) -> str:
    """Return a value on one line of at most `limit` columns; a class has its name beside it."""
    text = _text(value)
    if class_names is not None and isinstance(value, int | np.integer | np.ndarray):
        number = np.asarray(value)
        if number.ndim == 0 and 0 <= int(number) < len(class_names):
            text = f"{text} ({class_names[int(number)]})"
    return shorten(text, limit)


def as_json(value: Any) -> Any:
    """Return a value as JSON has it, with nothing left out."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int | float):
        return _number(value)
    if isinstance(value, complex):
        return [_number(value.real), _number(value.imag)]
    if isinstance(value, bytes | bytearray | memoryview):
        return {"base64": base64.b64encode(bytes(value)).decode("ascii")}
    if isinstance(value, Mapping):
        return {str(name): as_json(item) for name, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [as_json(item) for item in value]
    if hasattr(value, "__array__"):
        return _array(np.asarray(value))
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _array(array: np.ndarray[Any, Any]) -> Any:
    if array.dtype.kind in "mM":
        return array.astype(str).tolist()
    if array.dtype.kind == "V" and array.dtype.names is None:  # floats that NumPy does not know
        array = array.astype(np.float64)
    if array.dtype.kind in "biuU" or (array.dtype.kind == "f" and np.isfinite(array).all()):
        return array.tolist()
    return as_json(array.tolist())


def _number(value: float) -> float | str:
    if isinstance(value, int) or math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _text(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, str):
        return value.replace("\r", "\\r").replace("\n", "\\n").replace("\t", "\\t")
    if isinstance(value, bytes | bytearray | memoryview):
        data = bytes(value)
        return f"bytes[{len(data)}] {data[:16].hex()}{'…' if len(data) > 16 else ''}".rstrip()
    if isinstance(value, Mapping):
        return "{" + _joined(f"{name}: {_text(item)}" for name, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        inner = _joined(_text(item) for item in value[: SHOWN + 1])
        return f"[{inner}]" if len(value) <= SHOWN else f"list[{len(value)}] {inner}"
    if hasattr(value, "__array__"):
        return _array_text(np.asarray(value))
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _array_text(array: np.ndarray[Any, Any]) -> str:
    if array.ndim == 0:
        return _text(as_json(array[()])) if array.dtype.kind in "SOV" else _scalar(array[()])
    shape = ",".join(map(str, array.shape))
    shown = " ".join(_scalar(item) for item in array.flat[:SHOWN])
    return f"{array.dtype}[{shape}] {shown}{' …' if array.size > SHOWN else ''}".rstrip()


def _scalar(value: Any) -> str:
    if isinstance(value, bytes | str | Mapping | list) or value is None:
        return _text(value)
    return f"{value:.6g}" if isinstance(value, float | np.floating) else str(value)


def _joined(parts: Iterable[str]) -> str:
    shown: list[str] = []
    for part in parts:
        if len(shown) == SHOWN:
            return ", ".join([*shown, "…"])
        shown.append(part)
    return ", ".join(shown)
