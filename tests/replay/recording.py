"""Records a simulated run as JSON lines and reads such records back; run it to make the committed record again:

    python -m tests.replay.recording

A record holds, line by line, an event (`kind` and `event`) and the commands that followed from it. The run it makes
loses a resource in the middle, resumes from a checkpoint, cancels a waiting and a running job, runs one job as two
copies, fails one by its own error, and changes the objective on the way.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from dnaml.core import events as ev
from dnaml.core.events import Command, Event, StartAttempt
from dnaml.core.resource import Resource
from dnaml.core.work import Computation, Constraints, Job, Objective, Resilience
from dnaml.datasets.journal import decode_event, encode_event
from dnaml.execution.simulated import SimulatedBackend
from dnaml.predict.measured import TablePredictor
from dnaml.schedule.controller import Controller
from dnaml.schedule.matching import MatchingPolicy
from dnaml.schedule.planning import ControllerSettings

RECORDS = Path(__file__).parent / "records"
SIMULATED = RECORDS / "simulated.jsonl"
SECONDS = {"sort": {"slow": 4.0, "fast": 2.0, "spare": 3.0}, "train": {"slow": 24.0, "fast": 10.0, "spare": 15.0}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One event, and the commands that followed from it as plain data."""

    event: Event
    commands: list[object]


def plain(commands: tuple[Command, ...]) -> list[object]:
    """Return commands as they stand in a record: their kinds and fields.

    Numbers have nine digits: the last bits of a logarithm differ between processors.
    """
    return [
        {"kind": type(command).__name__, **json.loads(msgspec.json.encode(command), parse_float=_nine_digits)}
        for command in commands
    ]


def _nine_digits(text: str) -> float:
    return float(f"{float(text):.9g}")


def new_controller() -> Controller:
    """Return the controller under which records are made and replayed; what it learns comes from the events."""
    table = {(kernel, where): (seconds,) for kernel, row in SECONDS.items() for where, seconds in row.items()}
    settings = ControllerSettings(window_jobs=8, learn_every_s=1.0, cores={"here": 2})
    return Controller(MatchingPolicy(), TablePredictor(runtimes_s=table), Objective.of("balanced"), settings, seed=3)


def read(path: Path) -> Iterator[Step]:
    """Yield the steps of a record."""
    for line in path.read_text().splitlines():
        row = json.loads(line)
        event = decode_event(row["kind"], json.dumps(row["event"]).encode())
        yield Step(event=event, commands=row["commands"])


def record(controller: Controller, backend: SimulatedBackend) -> Iterator[Step]:
    """Run a controller against a simulation to its end; yield every step."""
    for event in backend.events():
        commands = controller.handle(event)
        for command in commands:
            backend.do(command)
        yield Step(event=event, commands=plain(commands))


def write(path: Path, steps: Iterator[Step]) -> None:
    """Write steps as a record."""
    with path.open("w") as file:
        for step in steps:
            event = json.loads(encode_event(step.event))
            row = {"kind": type(step.event).__name__, "event": event, "commands": step.commands}
            file.write(json.dumps(row, separators=(",", ":")) + "\n")


def _submitted(name: str, kernel: str, at_s: float, priority: int = 0, **wanted: object) -> ev.Submitted:
    limits = Constraints(resource_ids=wanted.pop("only", ()))  # type: ignore[arg-type]  # a tuple of ids
    job = Job(
        id=name,
        computation_id=kernel,
        submitted_at_s=at_s,
        priority=priority,
        constraints=limits,
        resilience=Resilience(**wanted),  # type: ignore[arg-type]  # fields of Resilience
    )
    computation = Computation(id=kernel, kernel=kernel, checkpointable=kernel == "train")
    return ev.Submitted(at_s=at_s, job=job, computation=computation)


def _resource(name: str, at_s: float, price_usd_per_h: float, domain: str = "here", slots: int = 1) -> ev.ResourceUp:
    resource = Resource(id=name, domain=domain, slots=slots, price_usd_per_h=price_usd_per_h)
    return ev.ResourceUp(at_s=at_s, resource=resource)


def eventful_run() -> SimulatedBackend:
    """Return the simulation that the committed record was made from."""
    balanced, cheap = Objective.of("balanced"), Objective.of("min_cost")
    arrivals: list[Event] = [
        ev.Configured(at_s=0.0, policy="matching", model="table-1+6", objective=balanced, seed=3),
        _resource("slow", 0.0, 0.5),
        _resource("fast", 0.0, 2.0),
        *(_submitted(f"sort{i}", "sort", 0.0) for i in range(14)),
        _submitted("train0", "train", 0.5, priority=4, only=("fast", "spare"), checkpoint_every_s=1.5),
        _submitted("urgent", "sort", 1.0, priority=2),
        _submitted("copied", "train", 2.0, priority=1, replicas=2),
        _submitted("fails", "sort", 2.0, priority=1, max_restarts=1),
        _submitted("nowhere", "sort", 3.0, only=("moon",)),
        _submitted("waits", "train", 3.0),
        ev.CancelRequested(at_s=4.0, job_id="waits"),
        _resource("spare", 6.0, 1.0, domain="there", slots=2),
        ev.ResourceDown(at_s=9.0, resource_id="fast", reason="power was cut"),
        ev.Configured(at_s=12.0, policy="matching", model="table-1+6", objective=cheap, seed=3),
        _submitted("stopped", "train", 14.0, priority=5, only=("spare",)),
        ev.CancelRequested(at_s=20.0, job_id="stopped", running=True),
        _resource("fast", 26.0, 2.0),
        ev.ModelChanged(at_s=30.0, model="table-1+9"),
        ev.CancelRequested(at_s=80.0, job_id="nowhere"),
    ]
    failures = {"fails.1": "ValueError: no", "fails.2": "ValueError: still no"}
    return SimulatedBackend(_seconds, arrivals, failures=failures, startup_s=0.1, tick_every_s=1.0)


def _seconds(start: StartAttempt) -> float:
    return SECONDS[start.computation.kernel][start.attempt.placement.resource_id]


if __name__ == "__main__":
    RECORDS.mkdir(exist_ok=True)
    write(SIMULATED, record(new_controller(), eventful_run()))
