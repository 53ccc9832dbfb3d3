"""Every error that datarax raises by name; each also inherits the builtin a caller would catch.

An error says what was asked, what was found and what to do. `nearest` and `listing` are the two
helpers that keep such texts alike.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class DataraxError(Exception):
    """The base of all errors that datarax raises by name."""


class InvalidURIError(DataraxError, ValueError):
    """A source URI that does not follow `scheme:target[@revision][?key=value&...]`."""


class UnknownSourceError(DataraxError, LookupError):
    """No installed or registered plugin answers to the scheme."""


class SourceNotInstalledError(DataraxError, ImportError):
    """The scheme is known, but the distribution that offers it is not installed."""


class SourceBrokenError(DataraxError, ImportError):
    """The plugin is installed, but importing it or describing it failed; the cause is chained."""


class SourceIncompatibleError(DataraxError, ImportError):
    """The plugin is installed, but was made for another version of datarax-core."""


class SourceConflictError(DataraxError, LookupError):
    """Two distributions offer the same scheme."""


class SourceDisabledError(DataraxError, LookupError):
    """The plugin is installed, but switched off by the environment."""


class PolicyBrokenError(DataraxError, ImportError):
    """A policy is installed, but cannot be imported or asked; nothing is loaded without it."""


class PolicyConflictError(DataraxError, LookupError):
    """Another policy was registered under the same name."""


class UnknownPolicyError(DataraxError, LookupError):
    """No policy was registered under the name."""


class RefusedError(DataraxError, PermissionError):
    """For policies to raise: a load that they forbid."""


class UnknownOptionError(DataraxError, TypeError):
    """An option that the source does not take."""


class UnknownSplitError(DataraxError, ValueError):
    """A split that the dataset does not have, or a choice among several that was not made."""


class UnknownConfigError(DataraxError, ValueError):
    """A dataset configuration that does not exist, or a choice that was not made."""


class UnknownFieldError(DataraxError, ValueError):
    """A field that the dataset does not have."""


class UnknownDatasetError(DataraxError, LookupError):
    """A dataset that the backend does not have."""


class CacheMissError(DataraxError, FileNotFoundError):
    """Local files only was asked for, and files are missing; the text names each."""


class CorruptDataError(DataraxError, ValueError):
    """A file that is truncated, damaged or not of the format it claims."""


class StateMismatchError(DataraxError, ValueError):
    """A saved state that belongs to another source, order or version."""


class EmptyDatasetError(DataraxError, ValueError):
    """A dataset, split or selection that holds no records or no fields."""


class HostOnlyFieldError(DataraxError, ValueError):
    """A batch was asked of fields that have no fixed shape."""


class IntegerRangeError(DataraxError, OverflowError, ValueError):
    """A 64-bit integer that does not fit the 32 bits of a jax array."""


class NotSupportedError(DataraxError, NotImplementedError):
    """Something that this source or its plugin does not do."""


class ValueTooLongError(DataraxError, ValueError):
    """A text, bytes or sequence value longer than the width it is padded to."""


class SourceClosedError(DataraxError, ValueError):
    """A source or an iterator that was used after `close()`."""


class StalePassError(DataraxError, RuntimeError):
    """A pass that was continued after a newer one began on the same source."""


class UnknownLengthError(DataraxError, NotImplementedError, TypeError):
    """The number of records is not known.

    It is a TypeError too, so that `list(source)`, which asks for a length hint, goes on without.
    """


def listing(names: Iterable[object]) -> str:
    """Return names as they stand in an error: quoted, separated by commas, or 'none'."""
    return ", ".join(repr(name) for name in names) or "none"


def nearest(asked: str, known: Iterable[str]) -> str:
    """Return ' Did you mean ...?' for the closest of `known`, or an empty string."""
    matches = difflib.get_close_matches(asked, sorted(known), n=1, cutoff=0.5)
    return f" Did you mean {matches[0]!r}?" if matches else ""
