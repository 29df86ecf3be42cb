"""The periodic refresh of what changes about a resource: load, temperature, contention, free memory, availability.

Resources of one machine share one reading of it, about 25 ms of one core a refresh. The error rate comes from the
journal, so the caller gives it.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Self

import psutil

from dnaml.core.types import Kind, Resource, ResourceState, Site
from dnaml.telemetry import host, nvml
from dnaml.telemetry.background import Background
from dnaml.telemetry.probe_compute import python_loop
from dnaml.telemetry.probes import Clock, measure

_LOG = logging.getLogger(__name__)
_PROBE_S, _PROBE_LIMIT_S = 0.02, 0.2
_LOAD_WINDOW_S = 0.1
_AT_ONCE, _BREATH_S = 200, 0.05

ErrorRate = Callable[[str], float | None]
"""Returns the share of ended attempts that a resource lost, by its id; None where it has had none."""


def refreshed(
    resources: Iterable[Resource], *, at_s: float, error_rate: ErrorRate = lambda resource_id: None
) -> list[ResourceState]:
    """Return the state of each resource now; what cannot be read from here (a remote or declared one) is None."""
    here: ResourceState | None = None
    states = []
    for resource in resources:
        if resource.site is not Site.LOCAL:
            state = ResourceState(resource_id="", at_s=at_s)
        elif resource.kind is Kind.GPU:
            state = _gpu_state(resource, at_s)
        else:
            state = here = here or _host_state(at_s)
        states.append(replace(state, resource_id=resource.id, error_rate=error_rate(resource.id)))
    return states


def _host_state(at_s: float) -> ResourceState:
    """Return the state of this machine, under no id."""
    return ResourceState(
        resource_id="",
        at_s=at_s,
        load=psutil.cpu_percent(interval=_LOAD_WINDOW_S) / 100.0,
        contention=contention(),
        temperature_c=host.hottest_c(),
        free_memory_bytes=int(psutil.virtual_memory().available),
    )


def contention() -> float:
    """Return elapsed over processor time of a short probe on this thread: 1 when it has its core to itself."""
    with ExitStack() as stack:
        repeat = measure(python_loop(stack), Clock.CPU, _PROBE_S, _PROBE_LIMIT_S)
    return max(1.0, repeat.wall_s / max(repeat.cpu_s, 1e-9))


def _gpu_state(resource: Resource, at_s: float) -> ResourceState:
    """Return a GPU's state, under no id; one that NVML no longer shows is not available."""
    told = nvml.state_of(int(resource.spec.get("gpu_index", 0)))
    free_bytes = told.get("memory_free_bytes")
    return ResourceState(
        resource_id="",
        at_s=at_s,
        available=bool(told),
        load=told.get("busy_share"),
        temperature_c=told.get("temperature_c"),
        free_memory_bytes=None if free_bytes is None else int(free_bytes),
    )


class Refresher(Background):
    """A thread that hands the states of all resources to `publish`, at once and then every `period_s`.

    Of many resources a few hundred are handed over at a time, so that other work gets its turn between them.
    """

    def __init__(
        self,
        resources: Callable[[], Sequence[Resource]],
        publish: Callable[[Sequence[ResourceState]], None],
        *,
        period_s: float = 300.0,
        error_rate: ErrorRate = lambda resource_id: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Prepare; nothing runs before `start`."""
        self._resources = resources
        self._publish = publish
        self._period_s = period_s
        self._error_rate = error_rate
        self._clock = clock
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="dnaml-refresh", daemon=True)

    def refresh(self) -> None:
        """Publish the state of every resource once, now."""
        states = refreshed(self._resources(), at_s=self._clock(), error_rate=self._error_rate)
        for first in range(0, len(states), _AT_ONCE):
            if self._stop.wait(_BREATH_S if first else 0.0):
                return
            self._publish(states[first : first + _AT_ONCE])

    def start(self) -> Self:
        """Start the thread."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """End the thread; waits for the reading at hand, at most half a second."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self.refresh()
            except OSError as error:  # a sensor that fails must not end the refresh of the others
                _LOG.warning("refresh of the resources failed: %s", error)
            self._stop.wait(self._period_s)
