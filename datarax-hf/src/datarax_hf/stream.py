"""From a plan to a stream: forward only, from the Hub by byte ranges or from files of this machine.

The same records come in the same order wherever the files lie, so that a saved state goes on in
either place.
"""

from __future__ import annotations

from datarax.sources import StreamReader
from datarax_hf.config import HFSourceConfig
from datarax_hf.images import ImageDecoder
from datarax_hf.plan import Plan
from datarax_hf.stream_files import StreamFiles
from datarax_hf.stream_parquet import ParquetStream
from datarax_hf.stream_parts import StreamParts, parts_of


def open_stream(plan: Plan, config: HFSourceConfig) -> StreamReader:
    """Return the stream of the split expression that `plan` was made for.

    Files that lie on this machine are read there; the others from the Hub, and nothing is written.

    Raises:
        CorruptDataError: If a file is damaged, or the files differ in columns.
        UnknownSplitError: If a slice asks for a length that a stream does not know.
        HubConnectionError: If the Hub does not answer.
    """
    names = [name for files in plan.files.values() for name in files]
    files = _files(plan, config)
    try:
        stream: StreamReader = ParquetStream(
            names,
            files,
            features=plan.contents.card.features(plan.config),
            decoder=ImageDecoder(config.image_mode, config.image_size),
            fill_nulls=config.fill_nulls or {},
            identity=_identity(plan),
        )
        if len(plan.terms) == 1 and plan.terms[0].start is None and plan.terms[0].stop is None:
            return stream
        places: dict[str, list[int]] = {}
        for split, of_split in plan.files.items():
            begin = sum(map(len, places.values()))
            places[split] = list(range(begin, begin + len(of_split)))
        what = f"hf:{plan.snapshot.dataset}"
        parts = [
            part
            for term in plan.terms
            for part in parts_of(term, places[term.name], stream.shards, what)
        ]
    except BaseException:
        files.close()
        raise
    return StreamParts(stream, parts)


def _files(plan: Plan, config: HFSourceConfig) -> StreamFiles:
    if not plan.lacking():
        return StreamFiles(plan.contents.origin, None)
    from datarax_hf.remote import Remote

    return StreamFiles(plan.contents.origin, Remote(plan.snapshot, config))


def _identity(plan: Plan) -> dict[str, str]:
    identity = {"config": plan.config, "split": plan.expression}
    if plan.snapshot.commit:
        identity["revision"] = plan.snapshot.commit
    return identity
