"""From a plan to a stream: forward only, from the Hub by byte ranges or from files of this machine.

The same records come in the same order wherever the files lie, so that a saved state goes on in
either place.
"""

from __future__ import annotations

from datarax.errors import NotSupportedError
from datarax.sources import IndexedStream, StreamReader
from datarax_hf.config import HFSourceConfig
from datarax_hf.features import MalformedFeaturesError
from datarax_hf.formats.kinds import kind_of
from datarax_hf.formats.open import check_parquet
from datarax_hf.images import ImageDecoder
from datarax_hf.plan import Plan
from datarax_hf.reader import open_reader
from datarax_hf.stream_base import HubStream
from datarax_hf.stream_files import StreamFiles
from datarax_hf.stream_images import ImageStream
from datarax_hf.stream_parquet import ParquetStream
from datarax_hf.stream_parsed import KINDS, ParsedStream
from datarax_hf.stream_parts import ParsedParts, Part, StreamParts, cut, parts_of

IMAGES = "image folder"


def open_stream(plan: Plan, config: HFSourceConfig) -> StreamReader:
    """Return the stream of the split expression that `plan` was made for.

    Files that lie on this machine are read there; the others from the Hub, and nothing is written.

    Raises:
        CorruptDataError: If a file is damaged, or the files differ in columns.
        NotSupportedError: If files that are not on this machine are of several formats.
        UnknownSplitError: If a slice asks for a length that a stream does not know.
        HubConnectionError: If the Hub does not answer.
    """
    kinds = {kind_of(name) for files in plan.files.values() for name in files}
    if IMAGES not in kinds and not kinds <= {"parquet"} and not kinds <= set(KINDS):
        if plan.lacking():
            raise NotSupportedError(
                f"hf:{plan.snapshot.dataset}: {' and '.join(sorted(map(str, kinds)))} files are "
                "not streamed from the Hub as one; stream splits of one format each, or load it "
                "with mode='lazy', which downloads it"
            )
        return IndexedStream(open_reader(plan, config))
    files = _files(plan, config)
    try:
        stream = _opened(plan, config, files)
        stream.look([name for name in stream.fields if _is_read(name, config)])
        return _selected(stream, plan)
    except MalformedFeaturesError as error:
        files.close()
        raise files.damaged(error.file, error.what) from error.__cause__
    except BaseException:
        files.close()
        raise


def _opened(plan: Plan, config: HFSourceConfig, files: StreamFiles) -> HubStream:
    """Return the stream of all files of all terms, so that one set of fields holds for them."""
    names = [name for of_split in plan.files.values() for name in of_split]
    decoder = ImageDecoder(config.image_mode, config.image_size)
    identity = {"config": plan.config, "split": plan.expression}
    if plan.snapshot.commit:
        identity["revision"] = plan.snapshot.commit
    fill_nulls = config.fill_nulls or {}
    if all(kind_of(name) == "parquet" for name in names):
        check_parquet(plan.settings, plan.snapshot.dataset)
        return ParquetStream(
            names,
            files,
            features=plan.settings.features,
            flatten=config.flatten,
            decoder=decoder,
            fill_nulls=fill_nulls,
            identity=identity,
        )
    stream = ImageStream if any(kind_of(name) == IMAGES for name in names) else ParsedStream
    return stream(
        names,
        files,
        plan.settings,
        decoder=decoder,
        fill_nulls=fill_nulls,
        identity=identity,
    )


def _is_read(name: str, config: HFSourceConfig) -> bool:
    if config.include_keys is not None:
        return name in config.include_keys
    return name not in (config.exclude_keys or ())


def _selected(stream: HubStream, plan: Plan) -> StreamReader:
    """Return what the terms select of the stream of all their files."""
    if len(plan.terms) == 1 and plan.terms[0].start is None and plan.terms[0].stop is None:
        return stream
    parts = _image_parts(stream, plan) if isinstance(stream, ImageStream) else _parts(stream, plan)
    if isinstance(stream, ParsedStream):
        return ParsedParts(stream, parts)
    return StreamParts(stream, parts)


def _parts(stream: HubStream, plan: Plan) -> list[Part]:
    """Return what the terms select where a shard is a file."""
    places: dict[str, list[int]] = {}
    for split, of_split in plan.files.items():
        begin = sum(map(len, places.values()))
        places[split] = list(range(begin, begin + len(of_split)))
    what = f"hf:{plan.snapshot.dataset}"
    return [
        part
        for term in plan.terms
        for part in parts_of(term, places[term.name], stream.shards, what)
    ]


def _image_parts(stream: ImageStream, plan: Plan) -> list[Part]:
    """Return what the terms select where shards are groups of images, of any splits."""
    begins, total = {}, 0
    for split, of_split in plan.files.items():
        begins[split], total = total, total + stream.records_of(of_split)
    parts = []
    for term in plan.terms:
        start, stop = term.range(stream.records_of(plan.files[term.name]))
        begin = begins[term.name]
        parts += cut(range(len(stream.counts)), stream.counts, begin + start, begin + stop)
    return parts


def _files(plan: Plan, config: HFSourceConfig) -> StreamFiles:
    origin = plan.contents.origin
    if not plan.lacking():
        return StreamFiles(origin, None)
    from datarax_hf.remote import Remote, RemoteOrigin

    remote = Remote(plan.snapshot, config)
    return StreamFiles(RemoteOrigin(origin.dataset, origin.commit, origin.folder, remote), remote)
