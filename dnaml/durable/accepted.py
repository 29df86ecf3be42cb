"""Jobs that were accepted and whose first event the journal does not hold yet: their payloads hold it.

An acceptance is a write to the log of payloads; the journal follows with the next moment, milliseconds later on an idle
machine. Whoever reads a state folder looks here too, so that it knows each job from when `submit` returned.
"""

from collections.abc import Callable, Container, Iterator

import msgspec

from dnaml.core.events import Submitted
from dnaml.datasets.blobs import BlobLog
from dnaml.datasets.journal import decode_event
from dnaml.datasets.state import StateFolder
from dnaml.durable.replay_index import read_index
from dnaml.durable.store import INDEX
from dnaml.execution import messages

_MOST_BYTES = 64 << 20  # of the newest payloads: what was accepted lies at the end


class _JobId(msgspec.Struct):
    id: str


class _Named(msgspec.Struct):
    """The part of a Submitted event that says whose it is."""

    job: _JobId


_named = msgspec.json.Decoder(_Named).decode


def accepted_since(state: StateFolder) -> Callable[[Container[str]], Iterator[Submitted]]:
    """Return what yields, once the journal was read, the jobs among the newest that it does not hold.

    It is asked for before the journal is read: where the payloads of journaled jobs end must not be newer.
    """
    index = read_index(state.root / INDEX)
    journaled = index.watermark if index is not None else (0, 0)

    def missing(known: Container[str]) -> Iterator[Submitted]:
        log = BlobLog(state.blobs, "payloads")
        try:
            for _, body in log.frames(max(journaled, log.newest(_MOST_BYTES))):
                submitted = messages.decode_payload(body).submitted
                if _named(submitted).job.id not in known:
                    event = decode_event("Submitted", submitted)
                    if isinstance(event, Submitted):
                        yield event
        finally:
            log.close()

    return missing
