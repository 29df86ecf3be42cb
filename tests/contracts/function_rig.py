"""Functions on the bench: a real HTTP server runs the work below; what it cannot do, its scenarios leave out."""

import threading
import time
from pathlib import Path
from typing import Any

from benchmarks.function_provider import provided
from dnaml.core import events as ev
from dnaml.core.events import Event
from dnaml.core.protocols import Backend
from dnaml.core.resource import Resource, Site
from dnaml.execution.serverless import HttpFunction, ServerlessBackend, call_handler
from dnaml.execution.serverless.http_calls import HttpCaller
from dnaml.execution.settings import LocalSettings
from tests.contracts import live_rig
from tests.contracts.live_rig import LiveRig, failing, quick
from tests.contracts.rigs import Work

_over = threading.Event()


def takes_a_while() -> int:
    """Stand for work in steps; a function saves nothing on the way."""
    time.sleep(live_rig.STEPS * live_rig.STEP_S)
    return live_rig.STEPS


def goes_on() -> None:
    """Go on until the bench is taken down: nobody can stop a function from outside."""
    _over.wait(60.0)


_FUNCTIONS = {Work.QUICK: quick, Work.STEPS: takes_a_while, Work.ENDLESS: goes_on, Work.FAILING: failing}


class _Serverless(ServerlessBackend):
    """Takes every resource of a scenario for a function."""

    def post(self, *events: Event) -> None:
        super().post(*(_away(event) for event in events))


class FunctionRig(LiveRig):
    """The back end with functions, each resource being one."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        _over.clear()
        self._open = provided(call_handler(*_FUNCTIONS.values()))
        url = self._open.__enter__().url
        callers: dict[str, Any] = {name: HttpCaller(name, HttpFunction(url=url)) for name in ("r0", "r1")}
        base_s = time.time() - time.monotonic()
        self._functions = _Serverless(
            folder / "checkpoints", folder / "logs", self, lambda: base_s + time.monotonic(), callers, LocalSettings()
        )
        self.backend: Backend = self._functions

    def bring(self, job: Any, work: Work) -> None:
        self.bring_call(job.id, _FUNCTIONS[work])

    def lose(self, resource_id: str) -> None:
        """Take the function away."""
        self.backend.post(ev.ResourceDown(at_s=time.time(), resource_id=resource_id, reason="it is gone"))

    def close(self) -> None:
        _over.set()
        self._functions.close()
        self._open.__exit__(None, None, None)


def _away(event: Event) -> Event:
    if not isinstance(event, ev.ResourceUp):
        return event
    one = event.resource
    return ev.ResourceUp(at_s=event.at_s, resource=Resource(id=one.id, slots=one.slots, site=Site.SERVERLESS))
