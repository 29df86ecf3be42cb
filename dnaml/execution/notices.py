"""Interruption notices of clouds, from files or HTTP endpoints: InterruptionNotice events before a machine goes.

A resource whose label `dnaml.notice` says `aws:ADDRESS` or `gce:ADDRESS` is watched while it is up. AWS answers
`/latest/meta-data/spot/instance-action` with `{"action": "terminate", "time": "2026-11-22T18:00:00Z"}` two minutes
ahead and with 404 before; GCE answers `/computeMetadata/v1/instance/preempted` with TRUE 30 s ahead. A file holds the
same text.
"""

import json
import logging
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path

from dnaml.core.errors import InputError
from dnaml.core.events import Event, InterruptionNotice, ResourceDown, ResourceUp
from dnaml.core.resource import Resource

_log = logging.getLogger(__name__)
LABEL = "dnaml.notice"
"""the label of a resource that says where its interruption notice appears"""
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


def source_of(resource: Resource) -> Source | None:
    """Return where a resource's label says its notice appears; None without the label, InputError for a broken one."""
    told = resource.labels.get(LABEL)
    if told is None:
        return None
    cloud, _, at = told.partition(":")
    if cloud not in [one.value for one in Cloud] or not at:
        raise InputError(f"{resource.id}: label {LABEL} must be aws:ADDRESS or gce:ADDRESS, got {told!r}")
    return Source(resource_id=resource.id, cloud=Cloud(cloud), at=at)


def parse(text: str, source: Source, at_s: float, wall_s: float | None = None) -> InterruptionNotice | None:
    """Return what a notice says; None when it says that nothing happens. Raises InputError for one that is broken.

    `at_s` is now on the engine's clock and `wall_s` on that of the cloud (the same by default), which says when.
    """
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
        left_s = moment.timestamp() - (at_s if wall_s is None else wall_s)
        gone_at_s, why = at_s + left_s, f"aws: {action}"
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
    """Looks at sources every few seconds in a thread and posts each notice once; sources may come and go."""

    def __init__(
        self,
        sources: Sequence[Source],
        post: Callable[[InterruptionNotice], None],
        now_s: Callable[[], float],
        *,
        every_s: float = 2.0,
        wall_s: Callable[[], float] | None = None,
    ) -> None:
        self._sources = {one.resource_id: one for one in sources}
        self._post = post
        self._now_s = now_s
        self._wall_s = wall_s or now_s
        self._every_s = every_s
        self._told: dict[str, str] = {}
        self._failing: set[str] = set()
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

    def watch(self, source: Source) -> None:
        """Look at one more source; the first one starts the thread."""
        self._sources = {**self._sources, source.resource_id: source}
        if self._thread.ident is None:
            self._thread.start()

    def forget(self, resource_id: str) -> None:
        """Look at a resource's source no longer."""
        if resource_id in self._sources:
            self._sources = {name: one for name, one in self._sources.items() if name != resource_id}
            self._told.pop(resource_id, None)

    def look(self) -> None:
        """Look at every source once; what cannot be read or understood is logged once and looked at again."""
        for source in self._sources.values():
            try:
                text = read(source)
                notice = parse(text, source, self._now_s(), self._wall_s())
            except (OSError, InputError) as error:
                if source.resource_id not in self._failing:
                    _log.warning("no notice can be read of %s: %s", source.resource_id, error)
                self._failing.add(source.resource_id)
                continue
            self._failing.discard(source.resource_id)
            if notice is None:
                self._told.pop(source.resource_id, None)
            elif self._told.get(source.resource_id) != text:
                self._told[source.resource_id] = text
                self._post(notice)

    def _run(self) -> None:
        while not self._stop.is_set():
            self.look()
            self._stop.wait(self._every_s)


class Labelled:
    """Watches the notices of resources that are labelled with their source, from when they come until they go."""

    def __init__(self, post: Callable[[Event], None], now_s: Callable[[], float], *, every_s: float = 2.0) -> None:
        self._watch = NoticeWatch((), post, now_s, every_s=every_s, wall_s=time.time)

    def see(self, event: Event) -> None:
        """Take in that a resource comes or goes; a label that is broken raises InputError."""
        if isinstance(event, ResourceUp):
            self.came(event.resource)
        elif isinstance(event, ResourceDown):
            self._watch.forget(event.resource_id)

    def came(self, *resources: Resource) -> None:
        """Watch what is labelled among resources that come."""
        for resource in resources:
            source = source_of(resource)
            if source is not None:
                self._watch.watch(source)

    def stop(self) -> None:
        """Stop looking."""
        self._watch.stop()
