"""The files of a stream: those on this machine are read there, the others from the Hub by ranges.

What is read is the same either way; only `remote` knows of a network, and where there is none no
socket is opened.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datarax.errors import CorruptDataError
from datarax_hf.derived import contents_key
from datarax_hf.formats.shard import written, written_again
from datarax_hf.remedy import Origin

if TYPE_CHECKING:
    from concurrent.futures import Future

    from datarax_hf.remote import Remote, RemoteFile


class StreamFiles:
    """Files by name, wherever they lie.

    Args:
        origin: Where they come from, and the folder in which they lie if they are here.
        remote: The Hub, for those that are not; None where all are.
    """

    def __init__(self, origin: Origin, remote: Remote | None) -> None:
        self.origin = origin
        self._remote = remote
        self._written: dict[str, tuple[int, int | None]] = {}

    def tails(self, names: Sequence[str], count: int) -> list[tuple[bytes, int]]:
        """Return the last `count` bytes of each file and its size; from the Hub several at once."""
        remote = self._remote
        asked: dict[str, tuple[int, Future[bytearray]]] = {}
        try:
            if remote is not None:
                for name in names:
                    if not self._is_here(name):
                        size = remote.size(name)
                        asked[name] = size, remote.ask(name, max(0, size - count), size)
            tails = []
            for name in names:
                if remote is not None and name in asked:
                    size, answer = asked[name]
                    tails.append((bytes(remote.await_(name, answer)), size))
                else:
                    tails.append(_tail(self.origin.folder / name, count))
        finally:
            for _, answer in asked.values():
                answer.cancel()
        return tails

    def open(self, name: str, ranges: Iterable[tuple[int, int]]) -> Opening:
        """Begin to read ranges of a file."""
        if self._remote is None or self._is_here(name):
            return Opening(self.origin.folder / name)
        return Opening(self._remote.open(name, ranges))

    def ask_ahead(self, name: str, *, whole: bool = False) -> None:
        """Ask for the beginning of a file that is read next, where it lies on the Hub.

        Args:
            name: The file.
            whole: Whether to ask for all of it, or the first 16 MiB.
        """
        if self._remote is not None and not self._is_here(name):
            self._remote.ask_ahead(name, whole=whole)

    def forget(self, name: str) -> None:
        """End what `ask_ahead` asked for, where nobody has taken it."""
        if self._remote is not None:
            self._remote.forget(name)

    def size(self, name: str) -> int:
        """Return the bytes of a file."""
        if self._remote is None or self._is_here(name):
            return (self.origin.folder / name).stat().st_size
        return self._remote.size(name)

    def key(self, name: str) -> str:
        """Return what names the contents of a file: other contents have another name."""
        if self._remote is None or self._is_here(name):
            return contents_key(self.origin.folder / name)
        return self._remote.url(name)

    def check_same(self, name: str) -> None:
        """Raise unless a file of this machine is what it was when this was first called for it.

        What a commit holds never changes.

        Raises:
            CorruptDataError: If it was written again.
        """
        if self._remote is not None and not self._is_here(name):
            return
        size, time = written(name, self.origin)
        before, then = self._written.setdefault(name, (size, time))
        if size != before or then not in (time, None):
            raise written_again(name, self.origin, before, size)
        self._written[name] = (size, time)

    def damaged(self, name: str, what: str) -> CorruptDataError:
        """Return the error for a file that cannot be read."""
        return self.origin.damaged(name, what)

    def close(self) -> None:
        """End what is still read from the Hub."""
        if self._remote is not None:
            self._remote.close()

    def __getstate__(self) -> dict[str, Any]:
        # A copy of a file on another machine was written at another time.
        sizes = {name: (size, None) for name, (size, _) in self._written.items()}
        return {**self.__dict__, "_written": sizes}

    def _is_here(self, name: str) -> bool:
        return (self.origin.folder / name).is_file()


class Opening:
    """A file that is about to be read: its path, or the Hub's answer that is on its way."""

    def __init__(self, source: Path | RemoteFile) -> None:
        self._source = source

    def arrow(self) -> Any:
        """Return what Arrow reads, once it is here."""
        return self._source if isinstance(self._source, Path) else self._source.arrow()

    def close(self) -> None:
        """End what is still on its way."""
        if not isinstance(self._source, Path):
            self._source.close()


def _tail(path: Path, count: int) -> tuple[bytes, int]:
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - count))
        return file.read(), size
