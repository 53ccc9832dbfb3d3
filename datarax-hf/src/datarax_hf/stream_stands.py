"""Where a stream of text files stands, as a saved state says it.

How many records text files hold is known once they were read, so that a new process would read them
all again to find the record to go on with. A stand says it: so many files are done, so many records
were in them, and a place in the next file with so many records before it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

from datarax_hf.formats.guess import Place
from datarax_hf.formats.kinds import kind_of
from datarax_hf.stream_files import StreamFiles
from datarax_hf.stream_marks import Mark, Marks, marks_of
from datarax_hf.stream_parts import Part

_DIGEST_BYTES = 12


@dataclass(frozen=True)
class Stand:
    """A place on the way through several files.

    Attributes:
        files: A digest of those files: the ones that are done, and the one it lies in.
        done: How many are done.
        before: How many records those hold.
        records: How many records of the next file lie before the place.
        byte: The byte of that file at which the place lies; 0 for its beginning.
        line: The number of its line, from 1.
        named: Whether the columns there have the names that they have in the first file.
        types: What `StreamTypes.told` says.
    """

    files: str
    done: int
    before: int
    records: int = 0
    byte: int = 0
    line: int = 1
    named: bool = False
    types: str = ""

    @classmethod
    def read(cls, saved: Mapping[str, Any]) -> Self:
        """Return the stand that `asdict` wrote.

        Raises:
            ValueError: If it is damaged.
        """
        kinds = {name: type(value) for name, value in asdict(cls("", 0, 0)).items()}
        found = {name: type(value) for name, value in saved.items()}
        if found != kinds:
            raise ValueError(f"{kinds} are expected, got {dict(saved)!r}")
        numbers = [saved[name] for name, kind in kinds.items() if kind is int]
        if min(numbers) < 0 or saved["line"] < 1:
            raise ValueError(f"no count is negative, got {dict(saved)!r}")
        return cls(**saved)

    def mark(self, names: Sequence[str]) -> Mark | None:
        """Return the place as a mark of its file, whose columns have these names."""
        if not self.records:
            return None
        place = Place(self.byte, self.line, tuple(names) if self.named else ())
        return Mark(self.records, place)


class Way:
    """The way through the files of a stream, as far as is known, in this process and another.

    Args:
        names: The files.
        files: Where they are read.
        options: What they are read with.
        fixed: Whether the names tell what they hold, as those of a commit do.

    Attributes:
        header: The names of the columns in the first file, where only its beginning tells them.
    """

    def __init__(
        self, names: Sequence[str], files: StreamFiles, options: Mapping[str, Any], *, fixed: bool
    ) -> None:
        self.header: tuple[str, ...] = ()
        self._names = tuple(names)
        self._files = files
        self._options = dict(options)
        self._fixed = fixed
        self._keys: dict[int, str] = {}
        self._stand: Stand | None = None

    def marks(self, shard: int) -> Marks:
        """Return the marks of a file as it is read here."""
        name = self._names[shard]
        return marks_of(f"{self._files.key(name)} {self._read_as(name)}")

    def begin(self, shards: Sequence[int], offset: int) -> Stand:
        """Return where to begin for the record `offset` of several shards in turn.

        The place within the file is noted among the marks of that file.
        """
        stand = self._stand
        if (
            stand is None
            or stand.done >= len(shards)
            or stand.before > offset
            or stand.files != self._digest(shards, stand.done)
        ):
            return Stand("", 0, 0)
        mark = stand.mark(self.header)
        if mark is not None:
            self.marks(shards[stand.done]).add(mark.records, mark.place)
        return stand

    def stand(self, shards: Sequence[int], offset: int) -> Stand | None:
        """Return the last place known before the record `offset`; None for the beginning."""
        if not shards:
            return None
        found = self.begin(shards, offset)
        done, before = found.done, found.before
        while done + 1 < len(shards):
            count = self.marks(shards[done]).records
            if count is None or before + count > offset:
                break
            done, before = done + 1, before + count
        files = found.files if found.files and done == found.done else self._digest(shards, done)
        found = Stand(files, done, before)
        mark = self.marks(shards[done]).before(offset - before)
        if mark is not None and mark.place.names in ((), self.header):
            place, named = mark.place, bool(mark.place.names)
            found = Stand(files, done, before, mark.records, place.byte, place.line, named)
        self._stand = found
        return found if found.done or found.records else None

    def take(self, stand: Stand) -> None:
        """Note where another stream of these files stood."""
        self._stand = stand

    def _digest(self, shards: Sequence[int], done: int) -> str:
        """Return what tells the files that are done and the next from others, wherever they lie."""
        digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)
        for shard in shards[: done + 1]:
            key = self._keys.get(shard)
            if key is None:
                name = self._names[shard]
                told = name if self._fixed else self._files.key(name)
                key = self._keys[shard] = f"{told} {self._read_as(name)}"
            digest.update(f"{len(key)}:{key}".encode())
        return digest.hexdigest()

    def _read_as(self, name: str) -> str:
        """Return what the records of a file follow from, beside its contents."""
        told = [kind_of(name), ".tsv" in name.lower(), self._options]
        return json.dumps(told, default=repr)


@dataclass(frozen=True)
class Run:
    """Records that follow each other in several shards: one part, or parts that are not cut.

    Attributes:
        shards: Which shards, in turn; none where parts are no run.
        begin: How many of their records are left out.
        end: Where it ends, None for their end.
    """

    shards: tuple[int, ...]
    begin: int = 0
    end: int | None = None

    @classmethod
    def of(cls, parts: Sequence[Part]) -> Self:
        """Return what parts select, if that is a run."""
        if len(parts) == 1:
            return cls(parts[0].shards, parts[0].begin, parts[0].end)
        if any(part.begin or part.end is not None for part in parts):
            return cls(())
        return cls(tuple(shard for part in parts for shard in part.shards))

    def without(self, stand: Stand) -> Part:
        """Return what is left of it without the files that are done."""
        end = None if self.end is None else self.end - stand.before
        return Part(self.shards[stand.done :], max(self.begin - stand.before, 0), end)
