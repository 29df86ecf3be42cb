"""Telemetry of one node, told to the engine: the machine, every attempt that lasts, and what changes about the node."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import msgspec

from dnaml.core.resource import Resource, Site
from dnaml.datasets.samples import SampleStore
from dnaml.execution.on_ray import wire
from dnaml.telemetry.refresh import refreshed
from dnaml.telemetry.watch import Watch

_TELL_EVERY_S = 10.0
_KEPT_S = 60.0


class Reporter:
    """A thread that samples once a second and tells every ten; states are refreshed each `refresh_every_s`."""

    def __init__(
        self,
        folder: Path,
        resources: Callable[[], tuple[Resource, ...]],
        running: Callable[[], Mapping[str, tuple[str, int]]],
        tell: Callable[[msgspec.Struct], None],
        refresh_every_s: float,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._resources, self._running, self._tell = folder, resources, running, tell
        self._refresh_every_s = refresh_every_s
        self._told_s = time.time()
        self._thread = threading.Thread(target=self._run, name="dnaml-report", daemon=True)

    def start(self) -> None:
        """Start the thread; it ends with the process."""
        self._thread.start()

    def _run(self) -> None:
        refresh_s = 0.0
        with Watch(self._folder, self._running, host_id=self._resources()[0].id):
            while True:
                states = []
                if time.monotonic() >= refresh_s:
                    refresh_s = time.monotonic() + self._refresh_every_s
                    here = (replace(each, site=Site.LOCAL) for each in self._resources())
                    states = refreshed(here, at_s=time.time())
                self._tell(wire.Vitals(states, self._rows()))
                time.sleep(_TELL_EVERY_S)

    def _rows(self) -> list[tuple[str, str, float, dict[str, float]]]:
        """Return what was stored since the last time; older rows go."""
        since_s, self._told_s = self._told_s, time.time()
        with SampleStore(self._folder / "samples.sqlite") as store:
            rows = list(store.rows(since_s=since_s, until_s=self._told_s))
            store.forget(self._told_s - _KEPT_S)
        return [(row.resource_id, row.attempt_id or "", self._told_s - row.at_s, dict(row.metrics)) for row in rows]
