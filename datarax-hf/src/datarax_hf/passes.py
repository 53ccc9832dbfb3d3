"""Passes: how often columns were read in order, from which it follows what the next pass costs."""

from __future__ import annotations

from collections.abc import Iterable

from datarax_hf.columns import Rows


class Passes:
    """Tells of columns that were read whole and are begun anew.

    Batches leave a remainder, and hosts read a part each: nine tenths are a pass, whosever.

    Args:
        records: The records of a pass.
    """

    def __init__(self, records: int) -> None:
        self._records = records
        self._read: dict[str, int] = {}
        self._last: dict[str, tuple[int, int]] = {}
        self._told: set[str] = set()

    def again(self, run: Rows, names: Iterable[str]) -> list[str]:
        """Take note of a run that is about to be read; return the columns that it begins anew.

        Each column is returned once.
        """
        return [name for name in names if self._goes_back(name, run.item(0), run.item(-1) + 1)]

    def _goes_back(self, name: str, begin: int, end: int) -> bool:
        first, last = self._last.get(name, (0, 0))
        read = self._read.get(name, 0)
        self._last[name] = begin, end
        # What the run before has too is read twice, not passed twice.
        again = first <= begin < last
        self._read[name] = read + (max(0, end - last) if again else end - begin)
        if begin >= first or 10 * read < 9 * self._records or name in self._told:
            return False
        self._told.add(name)
        return True
