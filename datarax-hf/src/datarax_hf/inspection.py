"""What is known of a dataset before it is loaded: for `datarax.inspect`.

From the card and the listing, and from parquet footers where the files are on this machine. Only
the card is ever downloaded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from datarax.errors import CorruptDataError, listing
from datarax.registry import DatasetInfo, SplitInfo
from datarax.sources import Field
from datarax_hf.card import CARD
from datarax_hf.class_names import with_class_names
from datarax_hf.config import HFSourceConfig
from datarax_hf.contents import Contents
from datarax_hf.features import fields_from
from datarax_hf.formats.kinds import PARSED, kind_of
from datarax_hf.formats.labels import image_features, images_of
from datarax_hf.locate import look
from datarax_hf.plan import Plan, make_plan
from datarax_hf.reader import described_fields, open_reader, says_features
from datarax_hf.readme import citation_in, description_in
from datarax_hf.shards import count_records
from datarax_hf.structs import flat_features


def inspect(uri: str, config: HFSourceConfig) -> DatasetInfo:
    """Return what is known of the dataset that `config` names.

    Where several configurations exist and none is the default, they are listed and no fields are.
    Where load has to be told a split, all are listed, and the fields are those of the first.

    Raises:
        The errors of `HFSource`, but for missing data files: those are told in `files`.
    """
    contents = look(config)
    snapshot, layout = contents.snapshot, contents.layout
    said = contents.in_place_of or contents
    card, readme = said.card, _readme(said)
    config_name = config.config or layout.default
    info = DatasetInfo(
        uri=uri,
        splits={},
        fields={},
        revision=snapshot.commit or None,
        licence=card.text("license", config_name),
        citation=card.text("citation", config_name) or citation_in(readme),
        description=card.text("description", config_name)
        or description_in(readme)
        or card.text("pretty_name"),
        configs=tuple(layout.configs),
        notes=contents.notes,
    )
    if config.config is None and layout.default is None:
        note = f"say which of the configs {listing(layout.configs)} with config="
        return replace(info, notes=(*info.notes, note))
    return _of_config(info, contents, config)


def _readme(contents: Contents) -> str:
    """Return the card's whole text where it is on this machine; else an empty one."""
    if not contents.snapshot.has(CARD):
        return ""
    return contents.snapshot.path(CARD).read_text(encoding="utf-8", errors="replace")


def _of_config(info: DatasetInfo, contents: Contents, config: HFSourceConfig) -> DatasetInfo:
    plan = make_plan(contents, config, every=True)
    if config.split is not None:
        return _of_plan(info, plan, config)
    names = tuple(plan.files)
    if len(names) > 1 and TRAIN not in names:
        note = (
            f"load has to be told which of the splits {listing(names)} with split=; the fields are "
            f"those of {names[0]!r}"
        )
        told = _of_plan(replace(info, notes=(*info.notes, note)), plan.only(names[0]), config)
        return replace(told, records=None, bytes=None, local=all(told.files.values()))
    return _of_plan(info, plan.only(TRAIN if TRAIN in names else names[0]), config)


def _of_plan(info: DatasetInfo, plan: Plan, config: HFSourceConfig) -> DatasetInfo:
    contents, snapshot = plan.contents, plan.snapshot
    files = contents.splits(plan.config)
    splits: dict[str, SplitInfo] = {}
    damage: list[str] = []
    for split, names in files.items():
        aside = config.split is not None and split not in plan.files
        splits[split], damaged = _split(plan, split, names, aside=aside)
        damage += damaged
    counted = {name: split.records for name, split in splits.items() if split.records is not None}
    here = not plan.lacking()
    fields, records, odd = _stored(plan, config) if here else _promised(plan, splits)
    sizes = [field.nbytes for field in fields.values()]
    known = [size for size in sizes if size is not None]
    whole = records is not None and bool(sizes) and len(known) == len(sizes)
    return replace(
        info,
        splits=splits,
        fields=fields,
        records=records,
        bytes=sum(known) * records if whole and records is not None else None,
        local=here,
        files={name: snapshot.has(name) for names in files.values() for name in names},
        notes=(
            *info.notes,
            *contents.unmatched(plan.config),
            *odd,
            *damage,
            *contents.card.miscounts(plan.config, counted, whole=snapshot.complete),
        ),
    )


TRAIN = "train"
"""The split that is read where none is named and several are."""

Told = tuple[Mapping[str, Field], int | None, Sequence[str]]
"""Fields, the number of records where it is known, and notes."""


def _stored(plan: Plan, config: HFSourceConfig) -> Told:
    """Return the fields and the number of records as `load` would read them."""
    reader = open_reader(plan, config)
    odd = [] if says_features(reader) else plan.contents.card.odd_features(plan.config)
    try:
        return described_fields(reader), len(reader), odd
    finally:
        reader.close()


def _promised(plan: Plan, splits: Mapping[str, SplitInfo]) -> Told:
    """Return the fields and the number of records that the card or the names of images promise."""
    card, settings = plan.contents.card, plan.settings
    declared, odd = card.features(plan.config), card.odd_features(plan.config)
    if any(images_of(names, described=settings.described) for names in plan.files.values()):
        declared, odd = image_features(settings.labels), []  # as folders name them
    features = flat_features(declared, flatten=settings.flatten)
    fields = with_class_names(fields_from(features), features) if features is not None else {}
    records = 0
    for term in plan.terms:
        size = splits[term.name].records
        if size is None:
            return fields, None, odd
        start, stop = term.range(size)
        records += stop - start
    return fields, records, odd


def _split(
    plan: Plan, split: str, names: tuple[str, ...], *, aside: bool
) -> tuple[SplitInfo, Sequence[str]]:
    """Return what is known of a split, and notes on its damage, which need not concern `load`.

    Args:
        plan: The plan for those that are asked for.
        split: The split.
        names: Its files.
        aside: Whether it is not asked for, so that no file of it is parsed to count its records.
    """
    snapshot, contents = plan.snapshot, plan.contents
    sizes = [snapshot.files.get(name) for name in dict.fromkeys(names)]
    known = [size for size in sizes if size is not None]
    size = sum(known) if len(known) == len(sizes) else None
    images = images_of(names, described=plan.settings.described)
    promised = contents.card.records(plan.config).get(split) if images is None else len(images)
    told = SplitInfo(split, promised, size)
    here = bool(names) and all(snapshot.has(name) for name in names)
    if not here or (aside and any(kind_of(name) in PARSED for name in names)):
        return told, ()
    try:
        records = count_records(names, contents.origin, plan.settings)
    except CorruptDataError as error:
        return told, (f"the records of the split {split!r} were not counted: {error}",)
    return replace(told, records=records), ()
