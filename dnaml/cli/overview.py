"""What `dnaml top` shows, as values: the pool, what runs and waits, what it cost, what is degraded; of a state folder.

It only reads, so it may look while an engine works; every look replays the journal.
"""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dnaml.core.attempt import AttemptState, JobState

if TYPE_CHECKING:
    from dnaml.history import History, JobView

MOST_FORECAST = 200  # unfinished jobs whose end is predicted in one look
FRESH_S = 10.0  # a sample of the machine that is older is no news


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceNow:
    """One resource: how many attempts run there, and the busy share of its cores where that is measured."""

    id: str
    kind: str
    site: str
    slots: int
    running: int
    available: bool
    load: float | None = None
    price_usd_per_h: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobLine:
    """One unfinished job: how long it runs or waits, and when it is expected to end; None where that is not known."""

    id: str
    name: str
    state: str
    resource_id: str | None
    since_s: float | None
    start_in_s: float | None
    end_in_s: float | None
    end_in_s_p10: float | None
    end_in_s_p90: float | None
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """Everything at one moment. `states` and `cost_usd` are those of the newest `counted_jobs` jobs.

    `unfinished` counts all; of those beyond the first MOST_FORECAST there are no lines.
    """

    at_s: float
    source: str
    engine: str | None
    resources: Sequence[PlaceNow] = ()
    running: Sequence[JobLine] = ()
    waiting: Sequence[JobLine] = ()
    states: Mapping[str, int] = field(default_factory=dict)
    unfinished: int = 0
    cost_usd: float | None = None
    counted_jobs: int = 0
    all_jobs: int = 0
    degraded: Sequence[str] = ()


class Watched:
    """Looks at one state folder again and again; what was learned from its runs is kept between looks."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self._runs = -1
        self._predictor: Any = None  # a Predictor, imported late

    def look(self) -> Overview:
        """Return how things stand now."""
        from dnaml.answers.rows import OVER, engine_pid, history_now

        now_s, source = time.time(), str(self._state)
        if not (self._state / "journal.sqlite").exists():
            return Overview(at_s=now_s, source=source, engine=None)
        history, pid = history_now(self._state), engine_pid(self._state)
        unfinished = [view for view in history.jobs.values() if view.state not in OVER]
        lines = self._lines(history, unfinished[:MOST_FORECAST], now_s)
        return Overview(
            at_s=now_s,
            source=source,
            engine=None if pid is None else f"process {pid}",
            resources=places(history, self._load(now_s)),
            running=[one for one in lines if one.state == JobState.RUNNING.value],
            waiting=[one for one in lines if one.state != JobState.RUNNING.value],
            states=dict(Counter(view.state.value for view in history.jobs.values())),
            unfinished=len(unfinished),
            cost_usd=cost_usd(history),
            counted_jobs=len(history.jobs),
            all_jobs=len(history.jobs),
            degraded=degraded_lines(self._state) if pid is not None else [],
        )

    def _lines(self, history: "History", unfinished: "Sequence[JobView]", now_s: float) -> list[JobLine]:
        from dnaml.answers.forecast import forecast
        from dnaml.history import History

        few = History(history.state)
        few.jobs = {view.id: view for view in unfinished}
        few.resources = {name: one for name, one in history.resources.items() if name not in history.down}
        rows = [one.row(few.jobs[one.job_id]) for one in forecast(few, self._learned(history), now_s)]
        return [line_of(row, began_s(few.jobs[row["id"]]), now_s) for row in rows]

    def _learned(self, history: "History") -> Any:  # a Predictor
        """Return a predictor that knows every run; made again only where there are more."""
        from dnaml.predict.placing import LivePredictor

        runs = history.runs()
        if len(runs) != self._runs:
            self._predictor, self._runs = LivePredictor().updated(runs), len(runs)
        return self._predictor

    def _load(self, now_s: float) -> float | None:
        """Return the busy share of this machine from the newest sample of the last seconds."""
        from dnaml.datasets.samples import SampleStore

        path = self._state / "samples.sqlite"
        if not path.exists():
            return None
        with SampleStore(path) as store:
            found = [one for one in store.rows(since_s=now_s - FRESH_S) if one.attempt_id is None]
        return next((one.metrics["cpu_busy_share"] for one in reversed(found) if "cpu_busy_share" in one.metrics), None)


def places(history: "History", load: float | None) -> list[PlaceNow]:
    """Return the resources, the busiest first; a load is that of this machine."""
    from dnaml.core.resource import Kind, Site

    running: Counter[str] = Counter()
    for view in history.jobs.values():
        if view.state is JobState.RUNNING:
            running.update(one.placement.resource_id for one in view.attempts if one.state is AttemptState.RUNNING)
    found = [
        PlaceNow(
            id=one.id,
            kind=one.kind.name,
            site=one.site.value,
            slots=one.slots,
            running=running[one.id],
            available=one.id not in history.down,
            load=load if one.site is Site.LOCAL and one.kind is Kind.CPU else None,
            price_usd_per_h=one.price_usd_per_h,
        )
        for one in history.resources.values()
    ]
    return sorted(found, key=lambda one: (not one.available, -one.running, one.id))


def line_of(row: Mapping[str, Any], since_s: float | None, now_s: float) -> JobLine:  # JSON values of a forecast
    """Return one unfinished job from the row of its forecast."""
    return JobLine(
        id=row["id"],
        name=row["name"],
        state=row["state"],
        resource_id=row["resource_id"],
        since_s=None if since_s is None else max(0.0, now_s - since_s),
        start_in_s=_known(row["start_in_s"]),
        end_in_s=_known(row["end_in_s"]),
        end_in_s_p10=_known(row["end_in_s_p10"]),
        end_in_s_p90=_known(row["end_in_s_p90"]),
        why=row["why"],
    )


def began_s(view: "JobView") -> float:
    """Return since when a job runs, or was submitted."""
    last = view.last
    return last.started_at_s if view.state is JobState.RUNNING and last is not None else view.job.submitted_at_s


def degraded_lines(state: Path) -> list[str]:
    """Return what the engine of a state folder says is degraded."""
    from json import loads

    from dnaml.answers.degraded import Degraded

    try:
        health = loads((state / "health.json").read_bytes())
    except (FileNotFoundError, ValueError):  # nothing is degraded, or the engine is just writing
        return []
    return Degraded(health).all()


def cost_usd(history: "History") -> float | None:
    """Return what all attempts that ended cost; None where no resource has a price."""
    from dnaml.answers.spending import costs

    used = [
        (0.0, history.resources[one.placement.resource_id], one.usage.runtime_s)
        for view in history.jobs.values()
        for one in view.attempts
        if one.usage is not None and one.placement.resource_id in history.resources
    ]
    known = [usd for usd in costs(used) if usd is not None]
    return sum(known) if known else None


def _known(value: float | None) -> float | None:
    return None if value is None or value != value else value
