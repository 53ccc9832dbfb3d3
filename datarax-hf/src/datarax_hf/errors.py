"""Errors peculiar to the Hub, each within the datarax family and with the builtin it stands for."""

from __future__ import annotations

from datarax.errors import (
    CacheMissError,
    DataraxError,
    UnknownConfigError,
    UnknownDatasetError,
    UnknownSplitError,
)


class HubConnectionError(DataraxError, ConnectionError):
    """The Hub could not be asked: no route, a timeout, or an answer such as 503 or 429."""


class HubAccessError(UnknownDatasetError, PermissionError):
    """The dataset exists, but this token (or no token) may not read it."""


class HubTokenError(DataraxError, ValueError):
    """An access token that cannot be one, or cannot be read; the text does not show it."""


class CacheWriteError(DataraxError, OSError):
    """The cache folder is full, would be, or cannot be written."""


class ConfigNotCachedError(UnknownConfigError, CacheMissError):
    """A configuration that no cached file tells of, in a cache without the dataset's card."""


class SplitNotCachedError(UnknownSplitError, CacheMissError):
    """A split that no cached file holds, in a cache that does not say what the dataset holds."""
