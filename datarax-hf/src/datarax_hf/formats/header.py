"""The names of a CSV file's columns, as pandas makes them of its first row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

INDEX = "__index_level_{}__"
"""The name that `datasets` gives a column that stands before those that are named."""


def named(words: Sequence[str]) -> list[str]:
    """Return names of their own for the words of a header.

    A column without a word is named by its number. Of a name that stands twice the later ones get
    a number behind it: the next that makes no name that is taken. Columns that have words choose
    first.
    """
    names = [word or f"Unnamed: {number}" for number, word in enumerate(words)]
    order = sorted(range(len(words)), key=lambda column: not words[column])
    uses: Counter[str] = Counter()
    for column in order:
        word = name = names[column]
        number = uses[name]
        while number:
            uses[word] = number + 1
            name = f"{word}.{number}"
            number = number + 1 if name in names else uses[name]
        names[column] = name
        uses[name] += 1
    return names


def all_names(words: Sequence[str], width: int) -> tuple[list[str], int]:
    """Return the names of as many columns as there are, and how many stand before the named ones.

    Args:
        words: The names that the header or the card gives.
        width: The fields of the header or of the first record, whichever has more. Where there are
            more than names, the first columns are row names, as R writes them.
    """
    before = max(0, width - len(words))
    return [*(INDEX.format(number) for number in range(before)), *words], before


def count_before(names: Sequence[str]) -> int:
    """Return how many of all names stand before those that the header or the card gives."""
    before = 0
    while before < len(names) and names[before] == INDEX.format(before):
        before += 1
    return before
