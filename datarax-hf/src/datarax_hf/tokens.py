"""The access token: where it comes from, whether it can be one, and texts that do not show it.

The places are those of huggingface_hub, but the environment is read when a dataset is loaded and
not when the client is imported.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from datarax.sources.config import environment_switch
from datarax_hf.cache import hub_home
from datarax_hf.errors import HubAccessError, HubTokenError
from datarax_hf.names import user_path

_TOKEN = re.compile(r"[!-~]+")
_SHORTEST_SECRET = 6
"""A shorter text is no secret, and would be found within ordinary words."""

_ENVIRONMENT = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
_used: set[str] = set()


@dataclass(frozen=True)
class Token:
    """What requests carry.

    Attributes:
        text: The token, or None for requests without one.
        origin: Words for it that name its place and do not show it.
    """

    text: str | None = field(repr=False)
    origin: str = "a request without a token"

    @property
    def for_client(self) -> str | bool:
        """What huggingface_hub takes for it; False keeps it from looking for one itself."""
        return self.text or False


def checked_token(text: str, origin: str) -> str:
    """Return a token without the blanks around it.

    Args:
        text: The token.
        origin: Words for where it comes from, such as "token=".

    Raises:
        HubTokenError: A ValueError, if it cannot be a token; the text does not show it.
    """
    token = text.strip()
    if not token:
        raise HubTokenError(
            f"the token of {origin} is empty; leave it out for the one that is found in the usual "
            "places, or give token=False for none"
        )
    if _TOKEN.fullmatch(token) is None:
        raise HubTokenError(
            f"the token of {origin} holds a blank, a line break or another character that no token "
            "has (it is not shown here); copy it again from the settings of your account"
        )
    _used.add(token)
    return token


def find_token(given: str | bool | None) -> Token:
    """Return the token to use: `given`, else HF_TOKEN, else the file of `hf auth login`.

    Args:
        given: The option: a token, True for one that must be there, False for none, or None.

    Raises:
        HubTokenError: If what was found cannot be a token, or its file cannot be read.
        HubAccessError: If there must be one and there is none.
    """
    if isinstance(given, str):
        return Token(checked_token(given, "token="), "the token of token=")
    if given is False or (given is None and environment_switch("HF_HUB_DISABLE_IMPLICIT_TOKEN")):
        return Token(None)
    found = _found()
    if found.text is None and given is True:
        raise HubAccessError(
            "token=True, and no token was found; log in by 'hf auth login', set HF_TOKEN, or give "
            "the token itself"
        )
    return found


def hidden(text: str) -> str:
    """Return a text with every token that this process has used left out."""
    for token in _used:
        if len(token) >= _SHORTEST_SECRET:
            text = text.replace(token, "<token>")
    return text


def shows_token(error: BaseException) -> bool:
    """Return whether an error, or one that it came from, has a token in its text."""
    seen: list[BaseException] = []
    ahead: list[BaseException | None] = [error]
    while ahead:
        one = ahead.pop()
        if one is None or any(one is other for other in seen):
            continue
        seen.append(one)
        if hidden(text := f"{one} {one!r}") != text:
            return True
        ahead += [one.__cause__, one.__context__]
    return False


def _found() -> Token:
    """Return the token that the environment, a file or the client knows of."""
    from huggingface_hub import constants, get_token

    if os.environ.get("HF_OIDC_RESOURCE"):
        text = get_token() or ""
        return Token(checked_token(text, "HF_OIDC_RESOURCE"), "the token of HF_OIDC_RESOURCE")
    for variable in _ENVIRONMENT:
        text = os.environ.get(variable, "").strip()
        if text:
            return Token(checked_token(text, variable), f"the token of {variable}")
    path = _token_path()
    try:
        # The client renews what its own file holds, and asks Colab where there is none.
        text = (get_token() if path == constants.HF_TOKEN_PATH else _read(path)) or ""
    except (OSError, UnicodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise HubTokenError(
            f"the token file {path} cannot be read ({why}); log in again by 'hf auth login', set "
            "HF_TOKEN, or give token=False where the dataset is public"
        ) from None
    if not text.strip():
        return Token(None)
    return Token(checked_token(text, path), f"the token in {path}")


def _read(path: str) -> str | None:
    try:
        return Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        return None


def _token_path() -> str:
    """Return the file of `hf auth login`, as huggingface_hub would if it were imported now."""
    chosen = os.environ.get("HF_TOKEN_PATH") or str(hub_home() / "token")
    return os.path.expandvars(user_path(chosen))
