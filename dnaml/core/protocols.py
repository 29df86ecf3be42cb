"""The five seams; nothing has to inherit. Each has a contract test in tests/contracts/."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from dnaml.core.events import Command, Event
from dnaml.core.plan import IntArray, Plan, Problem
from dnaml.core.prediction import Prediction
from dnaml.core.resource import Resource
from dnaml.core.work import Computation, Objective


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One ended attempt with both its sides, as a predictor learns from it.

    The work's own failure is `failed` only; a run that its resource lost is `failed` and `censored`; one that was
    stopped or went on from a checkpoint is `censored` only: its `runtime_s` is a lower bound. `telemetry` is unknown
    when predicting.
    """

    computation: Computation
    resource: Resource
    runtime_s: float
    at_s: float
    failed: bool = False
    censored: bool = False
    cost_usd: float | None = None
    energy_j: float | None = None
    telemetry: Mapping[str, float] = field(default_factory=dict)


class Collector(Protocol):
    """Reads one source of telemetry; a metric that cannot be read is absent, never zero."""

    def sample(self) -> Mapping[str, float]:
        """Return what can be read now, unit in each name."""
        ...


class Predictor(Protocol):
    """Answers how long and how much, with uncertainty, for every pair."""

    @property
    def version(self) -> str:
        """Name the model and its state, for the journal."""
        ...

    def predict(self, computations: Sequence[Computation], resources: Sequence[Resource]) -> Prediction:
        """Return quantiles [C, R, Q] of runtime and cost."""
        ...

    def updated(self, runs: Sequence[Run]) -> "Predictor":
        """Return a new predictor that knows these runs too; the old one is unchanged."""
        ...

    def shortlist(
        self, computation: Computation, resources: Sequence[Resource], objective: Objective, k: int
    ) -> IntArray:
        """Return the indices [<= k] of the resources worth a full prediction, best first."""
        ...


class Policy(Protocol):
    """Decides where jobs run: a pure function of the problem.

    A policy with a true attribute `wants_similarity` is given `Problem.similarity`.
    """

    @property
    def name(self) -> str:
        """Name the policy, for the journal and for decisions."""
        ...

    def plan(self, problem: Problem) -> Plan:
        """Return placements for every job of the problem, or the reason for each that has none."""
        ...


class Backend(Protocol):
    """Touches the world: carries out commands, reports events."""

    def do(self, command: Command) -> None:
        """Carry out a command; what comes of it arrives as events."""
        ...

    def events(self) -> Iterator[Event]:
        """Yield events for ever: blocks when live, advances time when simulated; ends when closed and empty."""
        ...

    def post(self, event: Event) -> None:
        """Add an event to the stream, from any thread."""
        ...


class Journal(Protocol):
    """Keeps every event, in order, for good."""

    def append(self, event: Event) -> None:
        """Store one event; it is durable (survives SIGKILL) when the next Settled has been appended."""
        ...

    def replay(self) -> Iterator[Event]:
        """Yield every stored event in order; raise CorruptError where a checksum fails."""
        ...
