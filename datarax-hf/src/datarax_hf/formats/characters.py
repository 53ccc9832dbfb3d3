"""Text files as UTF-8 bytes: decompressed, checked and cut into whole lines, in bounded memory.

What comes out is valid UTF-8 without a byte order mark. What is wrong is said with the file and the
byte.
"""

from __future__ import annotations

import bz2
import codecs
import gzip
import lzma
import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import Any, Self

import pyarrow as pa

from datarax.errors import DataraxError, NotSupportedError
from datarax_hf.formats.guess import Place
from datarax_hf.formats.shard import check_head
from datarax_hf.remedy import Origin

BLOCK = 8 * 2**20
LARGEST_LINE = 256 * 2**20
"""Bytes; a line beyond it is taken for damage, so that no file is read into memory as one line."""

FREE_BYTES = 256 * 2**20
LARGEST_RATIO = 250
"""Beyond `FREE_BYTES`, a file may grow by this factor when it is decompressed, and no more."""

_MAGIC: dict[bytes, Callable[[Any], Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\x00": lzma.open,
    b"\x28\xb5\x2f\xfd": lambda file: pa.CompressedInputStream(pa.PythonFile(file, "r"), "zstd"),
    b"\x04\x22\x4d\x18": lambda file: pa.CompressedInputStream(pa.PythonFile(file, "r"), "lz4"),
}
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_ENCRYPTED = 1
_BROKEN = (
    *(EOFError, OSError, zlib.error, lzma.LZMAError, pa.ArrowException),
    *(zipfile.BadZipFile, NotImplementedError),
)


class Characters:
    """A text file, plain or compressed, to be read once.

    Args:
        name: The file, relative to the origin's folder.
        origin: Where it comes from.
        encoding: Its encoding.
        errors: What becomes of bytes that are not of the encoding, as Python's codecs name it.
        ended: Whether to end the last line where the file does not.
        advance: Is told the bytes of the file that were read, as they are.
        begin: Where to begin; a place that `place` returned for this file.
        empty: Whether the file may be empty.

    Raises:
        CorruptDataError: If it is empty or a pointer; while it is read, if it is damaged.
        NotSupportedError: If there is no such encoding.
    """

    def __init__(
        self,
        name: str,
        origin: Origin,
        *,
        encoding: str = "utf-8",
        errors: str = "strict",
        ended: bool = True,
        advance: Callable[[int], None] | None = None,
        begin: Place | None = None,
        empty: bool = False,
    ) -> None:
        self.name = name
        self.origin = origin
        self.ended: Place | None = None
        self._begin = begin or Place(0, 1)
        self._mark = 0
        self._size = 0 if begin else check_head(name, origin, empty=empty)
        try:
            b"a".decode(encoding, "ignore")  # which those of bytes, such as base64, refuse
            codecs.lookup_error(errors)
        except (LookupError, TypeError, UnicodeError) as error:
            raise NotSupportedError(
                f"hf:{origin.dataset}: the card gives encoding={encoding!r} and "
                f"encoding_errors={errors!r}, by which no text is read: {error}"
            ) from error
        self._plain = codecs.lookup(encoding).name == "utf-8"
        self._stored = origin.open(name)
        try:
            if begin is None:
                self._file: Any = _opened(self._stored, name, origin)
            else:
                self._file = self._stored
                self._size = self._stored.seek(0, 2)
                self._stored.seek(begin.byte)
        except BaseException:
            self._stored.close()
            raise
        self._as_stored = self._plain and errors == "strict" and self._file is self._stored
        self._encoding = encoding
        self._decoder = codecs.getincrementaldecoder(encoding)(errors)
        self._newline = ended
        self._advance = advance
        self._taken = 0
        self._ahead: bytes | None = None
        self._ended = False
        self.closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file. Closing again does nothing."""
        self.closed = True
        self._file.close()
        self._stored.close()

    def readable(self) -> bool:
        """Return True: it is a file to read."""
        return True

    def read(self, size: int = BLOCK) -> bytes:
        """Return about `size` bytes of text as UTF-8, or none at the end."""
        if self._ahead is None:
            self._ahead = self._piece(size)
        text = self._ahead
        self._ahead = self._piece(size) if text else b""
        if self._newline and text and not self._ahead and not text.endswith(b"\n"):
            return text + b"\n"
        return text

    def blocks(self, size: int = BLOCK) -> Iterator[tuple[bytes, int]]:
        """Yield pieces of whole lines, and the number of the first line of each, from 1.

        Meanwhile `ended` is the place where the piece ends, if that can be told.
        """
        rest, line, taken = b"", self._begin.line, 0
        while text := self.read(size):
            end = text.rfind(b"\n") + 1
            if not end:
                rest += text
                if len(rest) > LARGEST_LINE:
                    raise self.origin.damaged(
                        self.name, f"has a line {line} of more than {LARGEST_LINE:,} bytes"
                    )
                continue
            block = rest + text[:end]
            begun, line, taken = line, line + block.count(b"\n"), taken + len(block)
            self.ended = self.place(taken, line)
            yield block, begun
            rest = text[end:]
        if rest:
            self.ended = None
            yield rest, line

    def place(self, taken: int, line: int) -> Place | None:
        """Return the place after the first `taken` bytes of text, where the text is as stored.

        Args:
            taken: Bytes of text, all of which were read.
            line: The number of the line that begins there.
        """
        if not self._as_stored:
            return None
        return Place(min(self._begin.byte + self._mark + taken, self._size), line)

    def _piece(self, size: int) -> bytes:
        while not self._ended:
            raw = self._raw(size)
            self._ended = not raw
            text = self._text(raw)
            if text:
                return text
        return b""

    def _raw(self, size: int) -> bytes:
        try:
            raw = bytes(self._file.read(size))
        except DataraxError:  # the Hub did not answer, which is no damage
            raise
        except _BROKEN as error:
            what = "read" if self._file is self._stored else "decompressed"
            raise self.origin.damaged(
                self.name, f"cannot be {what} beyond {self._taken:,} bytes of text: {error}"
            ) from error
        if self._taken + len(raw) > max(FREE_BYTES, LARGEST_RATIO * self._size):
            raise self.origin.damaged(
                self.name,
                f"of {self._size:,} bytes grows beyond {self._taken:,} when it is decompressed, "
                "which no text does that is meant to be read",
            )
        if self._advance is not None:
            self._advance(len(raw))
        return raw

    def _text(self, raw: bytes) -> bytes:
        pending = self._decoder.getstate()[0]
        first = not self._taken and not self._begin.byte
        if self._plain and not pending and raw.isascii() and raw:
            self._taken += len(raw)
            return raw
        try:
            text = self._decoder.decode(raw, final=not raw)
        except UnicodeDecodeError as error:
            place = self._begin.byte + self._taken - len(pending) + error.start
            raise self.origin.damaged(
                self.name,
                f"is not {self._encoding} at byte {place:,} of its text "
                f"({error.object[error.start : error.start + 4]!r}: {error.reason}); the card "
                "may name another 'encoding'",
            ) from error
        self._taken += len(raw)
        if first and text.startswith("\ufeff"):
            text, self._mark = text[1:], len(codecs.BOM_UTF8)
        return text.encode("utf-8", "replace")


def _opened(file: Any, name: str, origin: Origin) -> Any:
    """Return a file as it is, or decompressed where it begins as a compressed one does."""
    head = file.read(8)
    file.seek(0)
    for magic, open_ in _MAGIC.items():
        if head.startswith(magic):
            try:
                return open_(file)
            except DataraxError:
                raise
            except _BROKEN as error:
                raise origin.damaged(name, f"cannot be decompressed: {error}") from error
    return _member(file, name, origin) if head.startswith(_ZIP) else file


def _member(file: Any, name: str, origin: Origin) -> Any:
    """Return the one file of a zip archive, to be read from there; its name leads nowhere."""
    try:
        archive = zipfile.ZipFile(file)
        members = [member for member in archive.infolist() if not member.is_dir()]
        if len(members) == 1 and not members[0].flag_bits & _ENCRYPTED:
            return archive.open(members[0])
    except DataraxError:
        raise
    except _BROKEN as error:
        if isinstance(error.__context__, DataraxError):  # to zipfile whatever cannot be read is bad
            raise error.__context__ from None
        raise origin.damaged(name, f"cannot be decompressed: {error}") from error
    found = f"{len(members)} files" if len(members) != 1 else "a file that is encrypted"
    raise NotSupportedError(
        f"hf:{origin.dataset}: the zip archive {name!r} holds {found}; one with a single file is "
        "read. Unpack it, or load the converted branch, hf:NAME@refs/convert/parquet"
    )
