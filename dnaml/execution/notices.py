"""Interruption notices of clouds, from files or HTTP endpoints: InterruptionNotice events before a machine goes.

AWS answers `/latest/meta-data/spot/instance-action` with `{"action": "terminate", "time": "2026-11-22T18:00:00Z"}`
two minutes ahead and with 404 before; GCE answers `/computeMetadata/v1/instance/preempted` with TRUE 30 s ahead. A
file holds the same text.
"""

import json
import logging
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path

from dnaml.core.errors import InputError
from dnaml.core.events import InterruptionNotice

_log = logging.getLogger(__name__)
GCE_NOTICE_S = 30.0
_MOST_BYTES = 1 << 16


class Cloud(Enum):
    """Is the form in which a notice comes."""

    AWS = "aws"  # JSON with the moment at which the machine goes
    GCE = "gce"  # TRUE, and 30 s are left


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a resource's notice appears: `at` is an http(s) address or the path of a file."""

    resource_id: str
    cloud: Cloud
    at: str


def parse(text: str, source: Source, at_s: float) -> InterruptionNotice | None:
    """Return what a notice says; None when it says that nothing happens. Raises InputError for one that is broken."""
    if source.cloud is Cloud.GCE:
        if text.strip().upper() not in ("TRUE", "FALSE", ""):
            raise InputError(f"{source.resource_id}: a GCE notice is TRUE or FALSE, got {text[:80]!r}")
        if text.strip().upper() != "TRUE":
            return None
        gone_at_s, why = at_s + GCE_NOTICE_S, "gce: preempted"
    else:
        if not text.strip():
            return None
        try:
            told = json.loads(text)
            action = str(told["action"])
            moment = datetime.fromisoformat(str(told["time"]))
        except (ValueError, TypeError, KeyError) as error:
            raise InputError(f"{source.resource_id}: an AWS notice has action and time, got {text[:80]!r}") from error
        moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
        gone_at_s, why = moment.timestamp(), f"aws: {action}"
    return InterruptionNotice(at_s=at_s, resource_id=source.resource_id, gone_at_s=gone_at_s, reason=why)


def read(source: Source, *, limit_s: float = 2.0) -> str:
    """Return the text at a source, empty where there is none yet; raise OSError when it cannot be reached."""
    if not source.at.startswith(("http://", "https://")):
        path = Path(source.at)
        return path.read_text() if path.exists() else ""
    request = urllib.request.Request(source.at, headers={"Metadata-Flavor": "Google"})
    try:
        with urllib.request.urlopen(request, timeout=limit_s) as answer:
            return str(answer.read(_MOST_BYTES).decode("utf-8", "replace"))
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 404:
            return ""
        raise


class NoticeWatch:
    """Looks at sources every few seconds in a thread and posts each notice once."""

    def __init__(
        self,
        sources: Sequence[Source],
        post: Callable[[InterruptionNotice], None],
        now_s: Callable[[], float],
        *,
        every_s: float = 2.0,
    ) -> None:
        self._sources = tuple(sources)
        self._post = post
        self._now_s = now_s
        self._every_s = every_s
        self._told: dict[str, float] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="dnaml-notices", daemon=True)

    def start(self) -> "NoticeWatch":
        """Start looking."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """Stop looking."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(10.0)

    def look(self) -> None:
        """Look at every source once; what cannot be read or understood is logged and looked at again."""
        for source in self._sources:
            try:
                notice = parse(read(source), source, self._now_s())
            except (OSError, InputError) as error:
                _log.warning("no notice can be read of %s: %s", source.resource_id, error)
                continue
            if notice is None:
                self._told.pop(source.resource_id, None)
            elif self._is_new(source, notice):
                self._told[source.resource_id] = notice.gone_at_s
                self._post(notice)

    def _is_new(self, source: Source, notice: InterruptionNotice) -> bool:
        told_s = self._told.get(source.resource_id)
        return told_s is None or (source.cloud is Cloud.AWS and told_s != notice.gone_at_s)

    def _run(self) -> None:
        while not self._stop.is_set():
            self.look()
            self._stop.wait(self._every_s)
