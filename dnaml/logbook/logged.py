"""A watcher that notes every attempt with the decision behind it, and otherwise is the watcher it was given."""

import math
import os
import platform
import secrets
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from dnaml import tracking
from dnaml.core.attempt import AttemptState
from dnaml.core.events import AttemptEnded, Command, EndJob, Event, Explain, ResourceUp, StartAttempt
from dnaml.core.resource import Resource
from dnaml.dna.space import resource_dna
from dnaml.engine import Watcher
from dnaml.logbook import LogSettings
from dnaml.logbook.pages import SESSION
from dnaml.logbook.sender import Sender
from dnaml.logbook.spool import Spool

MOST_RUNNING = 10_000
FOLDER = "mlflow-spool"  # in the state folder


class LoggedWatcher(Watcher):
    """Hands everything on at once; what is noted is put into words by another thread."""

    def __init__(self, inner: Watcher, state: Path, store: tracking.Store, settings: LogSettings) -> None:
        self._inner = inner
        self._running: dict[str, StartAttempt] = {}
        self._header = _header(state)
        spool = Spool(state / FOLDER, self._header["session"], self._header, limit_bytes=settings.spool_bytes)
        self.sender = Sender(spool, store, settings)

    def replayed(self, event: Event, commands: Sequence[Command]) -> None:
        """Hand a stored event on; it was tracked when it happened."""
        self._resource(event)
        self._inner.replayed(event, commands)

    def happened(self, event: Event) -> None:
        """Note the end of an attempt, and hand the event on."""
        if type(event) is AttemptEnded:
            command = self._running.pop(event.attempt_id, None)
            if command is not None:
                self.sender.put(lambda: run_row(command, event))
        else:
            self._resource(event)
        self._inner.happened(event)

    def starting(self, command: StartAttempt) -> bool:
        """Note the decision behind a start, and ask whether it may be."""
        if len(self._running) < MOST_RUNNING:
            self._running[command.attempt.id] = command
        return self._inner.starting(command)

    def ended(self, command: EndJob, outcome: bytes | None, parts: Sequence[bytes] = ()) -> None:
        """Hand a job's end on."""
        self._inner.ended(command, outcome, parts)

    def explained(self, command: Explain) -> None:
        """Hand on why a job waits."""
        self._inner.explained(command)

    def decided(self, commands: Sequence[Command], took_s: float) -> None:
        """Hand on what was decided."""
        self._inner.decided(commands, took_s)

    def broke(self, error: BaseException) -> None:
        """Hand on what ended the loop."""
        self._inner.broke(error)

    def close(self) -> None:
        """End the tracking: send what waits, within the time allowed."""
        self.sender.close()

    def _resource(self, event: Event) -> None:
        if type(event) is ResourceUp:
            self._header["tags"].update(resource_tags(event.resource))


def _header(state: Path) -> dict[str, Any]:  # JSON values
    session = secrets.token_hex(8)
    host = platform.node() or "local"
    return {
        "kind": "session",
        "session": session,
        "name": f"{host} {time.strftime('%Y-%m-%d %H:%M:%S')}",
        "parent": tracking.active_run(),
        "tags": {
            SESSION: session,
            "dnaml.kind": "session",
            "dnaml.state": str(state),
            "dnaml.pid": str(os.getpid()),
            **hardware_tags(),
        },
    }


def hardware_tags() -> dict[str, str]:
    """Return what identifies this machine: processor, cores, memory, system, Python."""
    import psutil

    from dnaml.telemetry import processor

    return {
        "hw.host.name": platform.node(),
        "hw.cpu.model": processor.model_name(),
        "hw.cpu.cores": str(os.cpu_count()),
        "hw.memory.size_bytes": str(psutil.virtual_memory().total),
        "os.description": platform.platform(),
        "process.runtime.version": platform.python_version(),
    }


def resource_tags(resource: Resource) -> dict[str, str]:
    """Return a resource's description and the known slots of its DNA, as JSON."""
    dna = resource_dna(resource)
    known = [None if math.isnan(value) else round(value, 5) for value in dna.vector.tolist()]
    told = {key: value for key, value in msgspec.to_builtins(resource).items() if value not in (None, "", {}, [])}
    told.pop("environment", None)  # may hold what is nobody's business
    return {
        f"dnaml.dna.{resource.id}": msgspec.json.encode({"version": dna.version, "vector": known}).decode(),
        f"dnaml.resource.{resource.id}": msgspec.json.encode(told).decode(),
    }


def run_row(command: StartAttempt, event: AttemptEnded) -> Mapping[str, Any]:  # JSON values
    """Return an attempt with the decision behind it as JSON values; unknown numbers are None."""
    decision, usage = command.decision, event.usage
    at = decision.resource_ids.index(decision.chosen)
    said = (decision.runtime_p10_s[at], decision.runtime_p50_s[at], decision.runtime_p90_s[at])
    done = event.outcome is AttemptState.DONE
    runtime_s = usage.runtime_s if done else None
    error = None if runtime_s is None or not said[1] > 0 else abs(runtime_s - said[1]) / max(runtime_s, 1e-9)
    return {
        "kind": "run",
        "at_s": event.at_s,
        "job_id": command.job.id,
        "attempt_id": event.attempt_id,
        "name": command.job.name,
        "computation_id": command.computation.id,
        "kernel": command.computation.kernel,
        "resource_id": decision.chosen,
        "outcome": event.outcome.value,
        "error": event.error,
        "runtime_s": runtime_s,
        "wall_s": usage.wall_s,
        "energy_j": usage.energy_j,
        "telemetry": dict(usage.telemetry),
        "runtime_p10_s": said[0],
        "runtime_p50_s": said[1],
        "runtime_p90_s": said[2],
        "inside_share": None if runtime_s is None else float(said[0] <= runtime_s <= said[2]),
        "error_ratio": error,
        "wait_s": decision.wait_s[at],
        "cost_usd": _known(decision.cost_usd[at]),
        "score": _known(decision.score[at]),
        "policy": decision.policy,
        "path": decision.path,
        "candidates": list(decision.resource_ids),
        "scores": [_known(score) for score in decision.score],
        "reasons": list(decision.reasons),
    }


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
