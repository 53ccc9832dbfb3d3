"""Options of `load`: those of the URI's query and those given by keyword, typed, each once."""

from __future__ import annotations

import dataclasses
import json
import types
from collections.abc import Mapping
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from datarax.core.frozen import plain
from datarax.errors import InvalidURIError, UnknownOptionError, listing, nearest
from datarax.registry.loaded import LoadedPlugin
from datarax.registry.uri import SourceURI


class _Unset:
    def __repr__(self) -> str:
        return "<default>"


UNSET: Any = _Unset()
"""The default of an option that was left out, which is told from any value given."""

_TRUE, _FALSE = {"true", "1", "yes", "on"}, {"false", "0", "no", "off"}


def build_config(
    plugin: LoadedPlugin, uri: SourceURI, given: Mapping[str, Any]
) -> tuple[Any, dict[str, Any]]:
    """Return the plugin's config and its data options, from the URI and the keywords.

    Raises:
        UnknownOptionError: If an option is none of the plugin's.
        InvalidURIError: If an option is given twice with different values, its text does not fit
            its type, or the URI has a revision or lacks a target against the plugin's word.
    """
    info = plugin.info
    kinds = _kinds(info.config)
    reserved = {name for name in (info.target_option, info.revision_option) if name}
    takes = [name for name in kinds if name not in reserved]
    options: dict[str, Any] = {}
    for name, text in uri.options.items():
        _check_known(name, [*takes, *info.data_options], plugin)
        if name in info.data_options:
            raise InvalidURIError(
                f"{uri}: {name!r} is data, which a URI cannot carry; give it as a keyword"
            )
        options[name] = _typed(name, text, kinds[name], uri)
    data: dict[str, Any] = {}
    for name, value in given.items():
        if value is UNSET:
            continue
        _check_known(name, [*takes, *info.data_options], plugin)
        if name in info.data_options:
            data[name] = value
        elif name in options and not _equal(options[name], plain(value)):
            raise InvalidURIError(
                f"{name!r} is given twice: {options[name]!r} in {str(uri)!r} and {value!r} as a "
                "keyword; leave one of them out"
            )
        else:
            options[name] = value
    make: Any = info.config  # its keywords are the plugin's own
    return make(**_place(plugin, uri), **options), data


def _place(plugin: LoadedPlugin, uri: SourceURI) -> dict[str, str]:
    info = plugin.info
    place: dict[str, str] = {}
    if info.needs_target and not uri.target:
        raise InvalidURIError(
            f"'{uri.scheme}:' names no dataset; write '{uri.scheme}:TARGET' ({info.summary})"
        )
    if uri.target and not info.needs_target and info.target_option is None:
        raise InvalidURIError(f"{str(uri)!r}: '{uri.scheme}:' takes no target, got {uri.target!r}")
    if uri.revision is not None and info.revision_option is None:
        raise InvalidURIError(
            f"{str(uri)!r}: '{uri.scheme}:' has no revisions, got {uri.revision!r} "
            "(an '@' in a target is written %40)"
        )
    if info.target_option is not None:
        place[info.target_option] = uri.target
    if info.revision_option is not None and uri.revision is not None:
        place[info.revision_option] = uri.revision
    return place


def _check_known(name: str, known: list[str], plugin: LoadedPlugin) -> None:
    if name in known:
        return
    info, scheme = plugin.info, plugin.scheme
    told = f"{scheme!r} ({plugin.offered_by}) takes "
    for option, form in ((info.target_option, "TARGET"), (info.revision_option, "TARGET@REVISION")):
        if name == option:
            raise UnknownOptionError(f"{told}{name!r} in the URI: '{scheme}:{form}'")
    raise UnknownOptionError(
        f"{told}no option {name!r}; it takes {listing(sorted(known))}.{nearest(name, known)}"
    )


def _kinds(config: type[Any]) -> dict[str, Any]:
    try:
        hints = get_type_hints(config)
    except NameError:  # an annotation that only a type checker can see
        hints = {}
    return {
        field.name: hints.get(field.name, str) for field in dataclasses.fields(config) if field.init
    }


def _typed(name: str, text: str, kind: Any, uri: SourceURI) -> Any:
    for option in _alternatives(kind):
        try:
            return _parse(text, option)
        except (ValueError, TypeError):
            continue
    raise InvalidURIError(
        f"{str(uri)!r}: {name}={text!r} is not {_readable(kind)}; "
        "where no text can say it, give it as a keyword"
    )


def _alternatives(kind: Any) -> list[Any]:
    if get_origin(kind) in (Union, types.UnionType):
        parts = [part for member in get_args(kind) for part in _alternatives(member)]
        return sorted(parts, key=lambda part: part is str)  # text fits anything: it comes last
    return [kind]


def _parse(text: str, kind: Any) -> Any:
    if kind is type(None):
        if text.lower() == "none":
            return None
        raise ValueError(text)
    if kind is bool:
        word = text.lower()
        if word not in _TRUE | _FALSE:
            raise ValueError(text)
        return word in _TRUE
    if kind in (int, float, str):
        return kind(text)
    origin, args = get_origin(kind), get_args(kind)
    if origin is Literal:
        for choice in args:
            if str(choice) == text:
                return choice
        raise ValueError(text)
    if origin is tuple and len(args) == 2 and args[1] is Ellipsis:
        return tuple(_parse(part.strip(), args[0]) for part in text.split(","))
    if origin is tuple:
        parts = text.split(",")
        if len(parts) != len(args):
            raise ValueError(text)
        return tuple(_parse(part.strip(), item) for part, item in zip(parts, args, strict=True))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        value = json.loads(text)
        if isinstance(value, dict):
            return value
    raise TypeError(kind)


def _readable(kind: Any) -> str:
    names = {bool: "true or false", int: "an integer", float: "a number", str: "text"}
    parts = []
    for option in _alternatives(kind):
        if get_origin(option) is Literal:
            parts.append(f"one of {listing(get_args(option))}")
        elif option is not type(None):
            parts.append(names.get(option, str(option).replace("typing.", "")))
    return " or ".join(parts)


def _equal(left: Any, right: Any) -> bool:
    if isinstance(left, tuple) and isinstance(right, list):
        right = tuple(right)
    return type(left) is type(right) and bool(left == right)
