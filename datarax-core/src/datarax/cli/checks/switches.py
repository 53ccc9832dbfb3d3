"""The environment variables that datarax reads, their values and what they come to."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable
from typing import Any

from datarax.cli.checks.problem import Problem
from datarax.errors import listing, nearest
from datarax.registry.catalogue import CATALOGUE
from datarax.sources.config import environment_switch

_WORDS = {"", "0", "1", "false", "true", "no", "yes", "off", "on"}


def check_switches() -> tuple[list[dict[str, Any]], list[Problem]]:
    """Return each variable, and what is wrong with its value or its name."""
    shown = [
        {"name": name, "value": os.environ.get(name), "meaning": meaning(name)}
        for name, meaning in SWITCHES.items()
    ]
    own = sorted(
        name for name in os.environ if name.startswith("DATARAX_") and name not in SWITCHES
    )
    shown += [
        {"name": name, "value": os.environ[name], "meaning": "a plugin's own, or nothing's"}
        for name in own
    ]
    problems = [problem for name in ON_OR_OFF for problem in _unclear(name)]
    problems += [problem for name in own for problem in _misspelt(name)]
    return shown, problems + _nothing_named()


def _offline(name: str) -> str:
    if environment_switch(name):
        return "on: only local files are read, unless a load says local_files_only=False"
    return "off: a load may use the network, unless it says local_files_only=True"


def _hub_offline(name: str) -> str:
    if environment_switch(name):
        return "on: what is built on huggingface_hub uses no network"
    return "off"


def _plugins(name: str) -> str:
    words = _words(name)
    if not words:
        return "every plugin answers"
    pins = [word for word in words if "=" in word]
    allowed = [word for word in words if "=" not in word]
    parts = [f"only {', '.join(allowed)} and memory answer"] if allowed else []
    parts += [f"{pin.partition('=')[0]} is {pin.partition('=')[2]}'s" for pin in pins]
    return "; ".join(parts)


def _autoload(name: str) -> str:
    if environment_switch(name):
        return "on: no plugin answers but memory and those of DATARAX_PLUGINS"
    return "off: installed plugins answer"


def _strict(name: str) -> str:
    if environment_switch(name):
        return "on: any plugin that is broken fails every load"
    return "off: a broken plugin fails its own loads"


def _progress(name: str) -> str:
    off = name in os.environ and not environment_switch(name)
    return "off: no bar is drawn" if off else "on: a bar on a terminal"


SWITCHES: dict[str, Callable[[str], str]] = {
    "DATARAX_OFFLINE": _offline,
    "HF_HUB_OFFLINE": _hub_offline,
    "HF_DATASETS_OFFLINE": _hub_offline,
    "TRANSFORMERS_OFFLINE": _hub_offline,
    "DATARAX_PLUGINS": _plugins,
    "DATARAX_DISABLE_PLUGIN_AUTOLOAD": _autoload,
    "DATARAX_STRICT_PLUGINS": _strict,
    "DATARAX_PROGRESS": _progress,
}
ON_OR_OFF = [name for name in SWITCHES if name != "DATARAX_PLUGINS"]


def _unclear(name: str) -> list[Problem]:
    value = os.environ.get(name, "")
    if value.strip().lower() in _WORDS:
        return []
    return [
        Problem(
            name,
            f"{name}={value!r} is neither on (1, true, yes, on) nor off (0, false, no, off, "
            "empty), and counts as on",
            f"set {name} to 1 or 0, or unset it",
        )
    ]


def _misspelt(name: str) -> list[Problem]:
    close = difflib.get_close_matches(name, SWITCHES, n=1, cutoff=0.9)
    if not close:
        return []
    return [Problem(name, f"{name} is set, and nothing reads it", f"did you mean {close[0]}?")]


def _nothing_named() -> list[Problem]:
    """Return what is wrong with words of DATARAX_PLUGINS: they name nothing that is installed."""
    from packaging.utils import canonicalize_name

    known = {info.scheme: info for info in CATALOGUE.known()}
    names = {canonicalize_name(info.distribution) for info in known.values() if info.distribution}
    problems = []
    for word in _words("DATARAX_PLUGINS"):
        scheme, pinned, distribution = word.partition("=")
        scheme, distribution = scheme.strip().lower(), distribution.strip()
        if scheme not in known and (pinned or canonicalize_name(word) not in names):
            text = (
                f"it names {word!r}, and no such source is installed; there are "
                f"{listing(known)}.{nearest(scheme, known)}"
            )
            problems.append(Problem("DATARAX_PLUGINS", text, "mend or remove the word"))
        elif pinned and known[scheme].status == "disabled":
            text = (
                f"it pins {scheme!r} to {distribution!r}, which does not offer it here; "
                f"{known[scheme].distribution} does"
            )
            remedy = f"pin it to that, or run: pip install {distribution}"
            problems.append(Problem("DATARAX_PLUGINS", text, remedy))
    return problems


def _words(name: str) -> list[str]:
    return [word.strip() for word in os.environ.get(name, "").split(",") if word.strip()]
