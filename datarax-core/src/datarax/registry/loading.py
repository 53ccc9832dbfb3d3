"""`load`, `inspect`, `fetch`, `save`: from a URI and options to a source, and what is around it.

The URI is parsed, the one plugin asked for is imported, its config is built from query and
keywords, and its `open` gives a reader, which becomes a source, or a source of its own.
"""

from __future__ import annotations

import dataclasses
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from datarax.core.config import StructuralConfig
from datarax.errors import DataraxError, NotSupportedError, SourceBrokenError
from datarax.registry.catalogue import CATALOGUE
from datarax.registry.info import DatasetInfo, Fetched, Verified
from datarax.registry.loaded import LoadedPlugin
from datarax.registry.options import UNSET, build_config
from datarax.registry.plugin import Capability
from datarax.registry.policy import POLICIES
from datarax.registry.uri import SourceURI, parse_uri

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flax import nnx

    from datarax.core.data_source import DataSourceModule


def load(
    uri: str,
    /,
    *,
    split: str | None = UNSET,
    mode: Literal["auto", "eager", "lazy", "streaming"] = UNSET,
    shuffle: bool = UNSET,
    seed: int | None = UNSET,
    local_files_only: bool | None = UNSET,
    include_keys: Sequence[str] | None = UNSET,
    exclude_keys: Sequence[str] | None = UNSET,
    rngs: nnx.Rngs | None = None,
    **options: Any,
) -> DataSourceModule:
    """Return a source of the dataset that `uri` names.

    Args:
        uri: `scheme:target[@revision][?key=value&...]`. The query holds options too.
        split: The split to read, such as `train`, `train[:80%]` or `train+test`; left out, the
            only one, else `train`.
        mode: "eager" (decoded once into JAX arrays), "lazy" (rows read when asked for),
            "streaming" (forward only) or "auto" (the default: eager where the split fits
            `eager_limit`, 1 GiB unless given; else lazy).
        shuffle: Whether each epoch has an order of its own; False by default.
        seed: What the order is drawn from, in [0, 2**32); 0 by default.
        local_files_only: True opens no socket; left out, DATARAX_OFFLINE decides.
        include_keys: The only fields to read.
        exclude_keys: Fields to leave unread.
        rngs: Supplies the seed, once, where none is given; giving both is an error.
        **options: What else the source takes: `eager_limit`, `placement`, `pad`, `cacheable` and
            those of its plugin.

    Raises:
        InvalidURIError: If the URI is malformed, or an option is given twice.
        UnknownSourceError: If no plugin answers to the scheme; `SourceNotInstalledError`,
            `SourceBrokenError`, `SourceConflictError`, `SourceDisabledError` and
            `SourceIncompatibleError` say the other reasons.
        UnknownOptionError: If the source takes no such option.
        UnknownDatasetError, UnknownConfigError, UnknownSplitError, UnknownFieldError: If the
            dataset has none such.
        PolicyBrokenError: If an installed policy cannot be asked; a policy that refuses raises
            its own error, `RefusedError` for instance.
        CacheMissError: If only local files may be read, and some are missing.

    Example:
        >>> import datarax
        >>> source = datarax.load("memory:", data={"x": [1, 2, 3]})
        >>> len(source)
        3
    """
    given = {
        "split": split,
        "mode": mode,
        "shuffle": shuffle,
        "seed": seed,
        "local_files_only": local_files_only,
        "include_keys": include_keys,
        "exclude_keys": exclude_keys,
        **options,
    }
    place = parse_uri(uri)
    plugin = _plugin_of(place)
    config, data = build_config(plugin, place, given)
    asked = _asked(place, config, given)
    if rngs is not None:
        config, rngs = _with_rngs(config, rngs)

    def proceed() -> DataSourceModule:
        opened = plugin.hooks.open(uri=place, config=config, rngs=rngs, data=data)
        return _as_source(plugin, place, config, opened, rngs)

    return POLICIES.loaded(place, asked, proceed)


def inspect(uri: str, /, **options: Any) -> DatasetInfo:
    """Return what is known of a dataset without reading its records.

    Args:
        uri: As for `load`.
        **options: As for `load`.

    Returns:
        Splits, fields, spec, records, bytes, revision, licence, what is local, and the plan that
        `load` would follow with the same options.

    Raises:
        DataraxError: As `load` does.
    """
    place = parse_uri(uri)
    plugin = _plugin_of(place)
    config, data = build_config(plugin, place, options)
    POLICIES.ask(place, _asked(place, config, options), "inspect")
    if plugin.implements("inspect"):
        info = plugin.hooks.inspect(uri=place, config=config, data=data)
    else:
        info = _looked_at(plugin, place, config, data)
    return _with_plan(info, plugin, config, uri)


def save(source: DataSourceModule, uri: str, /, **options: Any) -> None:
    """Write the records of a source to `uri`, where the scheme's plugin can write.

    Args:
        source: Any source.
        uri: As for `load`.
        **options: Those of the plugin.

    Raises:
        NotSupportedError: A NotImplementedError, if the plugin cannot write.
    """
    _ask("save", uri, options, "reads only: it implements no hook 'save'", source=source)


def fetch(uri: str, /, **options: Any) -> Fetched:
    """Bring all that `load` would read onto this machine, decoding none of it.

    Args:
        uri: As for `load`.
        **options: As for `load`.

    Returns:
        What lies here now, and what to carry to a machine that has no network.

    Raises:
        NotSupportedError: A NotImplementedError, if the plugin reads local files only.
        DataraxError: As `load` does.
    """
    why = "reads what lies on this machine: there is nothing to fetch; copy the files that it reads"
    fetched: Fetched = _ask("fetch", uri, options, why)
    return fetched


def verify(uri: str, /, **options: Any) -> Verified:
    """Compare the local files that `load` would read with the hashes published for them.

    Args:
        uri: As for `load`.
        **options: As for `load`.

    Raises:
        NotSupportedError: A NotImplementedError, if the plugin knows no published hashes.
        DataraxError: As `load` does.
    """
    why = "implements no hook 'verify': it knows no hashes to compare its files with"
    verified: Verified = _ask("verify", uri, options, why)
    return verified


def _ask(
    action: Literal["save", "fetch", "verify"],
    uri: str,
    options: Mapping[str, Any],
    why_not: str,
    **words: Any,
) -> Any:
    """Call the optional hook named as the action, once policies have been asked."""
    place = parse_uri(uri)
    plugin = _plugin_of(place)
    if not plugin.implements(action):
        raise NotSupportedError(
            f"{_name(place)}: the source {place.scheme!r} ({plugin.offered_by}) {why_not}"
        )
    config, _ = build_config(plugin, place, options)
    POLICIES.ask(place, _asked(place, config, options), action)
    return getattr(plugin.hooks, action)(uri=place, config=config, **words)


def _plugin_of(uri: SourceURI) -> LoadedPlugin:
    """Return the plugin that a URI asks for; an error names that URI, without its query."""
    try:
        return CATALOGUE.find(uri.scheme)
    except DataraxError as error:
        raise type(error)(f"{_name(uri)}: {error}") from error.__cause__


def _asked(uri: SourceURI, config: Any, given: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the options given, typed, and what `local_files_only` comes to: what policies see."""
    names = [*uri.options, *(name for name, value in given.items() if value is not UNSET)]
    asked = {name: getattr(config, name) for name in names if hasattr(config, name)}
    if hasattr(config, "offline"):
        asked["local_files_only"] = config.offline
    return MappingProxyType(asked)


def _as_source(
    plugin: LoadedPlugin, uri: SourceURI, config: Any, opened: Any, rngs: Any
) -> DataSourceModule:
    from datarax.core.data_source import DataSourceModule
    from datarax.sources.config import SourceConfig
    from datarax.sources.source import ReaderSource

    if isinstance(opened, DataSourceModule):
        return opened
    if opened is None or not isinstance(config, SourceConfig):
        raise SourceBrokenError(
            f"the source {plugin.scheme!r} ({plugin.offered_by}) opened {uri} as {opened!r}; "
            "a plugin opens a Reader (with a SourceConfig) or a DataSourceModule"
        )
    return ReaderSource(config, opened, uri=_name(uri), rngs=rngs)


def _with_rngs(config: StructuralConfig, rngs: Any) -> tuple[StructuralConfig, Any]:
    """Return the config with the seed drawn from `rngs`, and the rngs that `open` still needs."""
    from datarax.sources.config import SourceConfig
    from datarax.sources.seeding import with_seed

    if not isinstance(config, SourceConfig):
        return config, rngs
    return with_seed(config, rngs), rngs if config.stochastic else None


def _looked_at(plugin: LoadedPlugin, uri: SourceURI, config: Any, data: Any) -> DatasetInfo:
    from datarax.sources.streaming import stream_length

    if dataclasses.is_dataclass(config) and hasattr(config, "mode"):
        mode = "streaming" if _streams(plugin, config) else "lazy"
        config = dataclasses.replace(config, mode=mode, placement=None)  # type: ignore[type-var]
    opened = plugin.hooks.open(uri=uri, config=config, rngs=None, data=data)
    try:
        reader = getattr(opened, "reader", opened)
        records = len(reader) if hasattr(reader, "__len__") else stream_length(reader)
        return DatasetInfo(uri=str(uri), splits={}, fields=dict(reader.fields), records=records)
    finally:
        opened.close()


def _streams(plugin: LoadedPlugin, config: Any) -> bool:
    """Return whether a plugin's sources only go forward, with these options."""
    return config.mode == "streaming" or Capability.INDEXED_ACCESS not in plugin.info.capabilities


def _with_plan(info: DatasetInfo, plugin: LoadedPlugin, config: Any, who: str) -> DatasetInfo:
    from datarax.core.x64 import x64_enabled
    from datarax.sources.config import SourceConfig
    from datarax.sources.layout import Layout
    from datarax.sources.plan import choose_mode

    if info.records is None or not isinstance(config, SourceConfig):
        return info
    names = config.select(tuple(info.fields), dataset=who)
    layout = Layout.of(
        info.fields, names, x64=x64_enabled(), pad=config.pad, overflow=config.overflow
    )
    streams = _streams(plugin, config)
    plan = choose_mode(config, layout, info.records, who, streams=streams)
    fields = {name: info.fields[name] for name in names}
    return dataclasses.replace(info, fields=fields, plan=plan, bytes=plan.bytes)


def _name(uri: SourceURI) -> str:
    return str(SourceURI(uri.scheme, uri.target))
