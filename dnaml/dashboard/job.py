"""The page of one job: decision, prediction against what happened, attempts, telemetry, logs, repeats."""

from collections.abc import Sequence
from dataclasses import dataclass

from dnaml.answers import amounts
from dnaml.answers.rows import OVER
from dnaml.core.attempt import Sample
from dnaml.core.plan import Decision
from dnaml.dashboard import decision as decisions
from dnaml.dashboard import measured, parts
from dnaml.dashboard.queue import runtime, waited_s
from dnaml.dashboard.reads import AttemptNow, Caller, JobNow, LogTail, Reads
from dnaml.dashboard.tables import Cell, Column, Row, job_link, money

MOST_LOG_BYTES = 32 << 10
REPEAT_COLUMNS = (
    Column(title="Job"),
    Column(title="What it is"),
    Column(title="Verdict"),
    Column(title="Differences", wide=True),
)
_ENDED = {state.value for state in OVER}


@dataclass(frozen=True, slots=True, kw_only=True)
class JobView:
    """All that the page shows at one moment."""

    job: JobNow
    decision: Decision | None
    attempts: Sequence[AttemptNow]
    samples: Sequence[Sample]
    log: LogTail


def page(reads: Reads, caller: Caller, job_id: str) -> None:
    """Draw one job."""
    parts.live(_Look(reads, job_id).read, _Drawn().draw, every_s=1.0)


class _Look:
    """Reads a job, and of it again only what can have changed: what has ended stays."""

    def __init__(self, reads: Reads, job_id: str) -> None:
        self._reads, self._job_id = reads, job_id
        self._seen = -1
        self._kept: JobView | None = None

    def read(self) -> JobView:
        """Return all of the job."""
        changed = self._reads.changed()
        kept = self._kept
        if kept is not None and changed == self._seen and kept.job.row.state in _ENDED:
            return kept
        self._seen = changed
        job = self._reads.job(self._job_id)
        if kept is not None and _mark(kept.job) == _mark(job):
            decision = kept.decision
            if job.row.state in _ENDED:
                self._kept = JobView(
                    job=job, decision=decision, attempts=kept.attempts, samples=kept.samples, log=kept.log
                )
                return self._kept
        else:
            decision = self._reads.decision(self._job_id)
        self._kept = JobView(
            job=job,
            decision=decision,
            attempts=self._reads.attempts(self._job_id),
            samples=self._reads.samples(self._job_id),
            log=self._reads.log(self._job_id, MOST_LOG_BYTES),
        )
        return self._kept


def _mark(job: JobNow) -> tuple[str, int, str | None]:
    return job.row.state, job.row.attempts, job.row.resource_id


def figures(job: JobNow) -> dict[str, str]:
    """Return the figures above everything else."""
    row = job.row
    return {
        "State": row.state.lower(),
        "Resource": row.resource_id or amounts.UNKNOWN,
        "Waited": amounts.seconds(waited_s(row, job.now_s)),
        "Runtime": runtime(row, job.now_s),
        "Cost": money(row.cost_usd),
        "Attempts": str(row.attempts),
    }


def facts(job: JobNow) -> dict[str, str]:
    """Return what the job is and wanted, and why it waits or how it failed."""
    told = {"name": job.row.name, "id": job.row.id, **job.wanted}
    if job.row.submitted_at_s:
        told["submitted"] = amounts.moment(job.row.submitted_at_s)
    if job.waits_because:
        told["waits because"] = job.waits_because
    if job.row.error:
        told["error"] = job.row.error
    if job.row.price_date:
        told["prices from"] = job.row.price_date
    return told


def repeat_rows(job: JobNow) -> list[Row]:
    """Return what this job repeats, with the verdict, and the jobs that repeat it."""
    found: list[Row] = []
    if job.repeat is not None:
        of, verdict = str(job.repeat["of"]), job.repeat["repeated"]
        word, tone = {None: ("runs", "busy"), True: ("repeated", "good"), False: ("differs", "bad")}[verdict]
        differences = "; ".join(str(one) for one in job.repeat["differences"]) or amounts.UNKNOWN
        cells = (
            Cell(text=of, href=job_link(of)),
            Cell(text="this job repeats it"),
            Cell(text=word, tone=tone),
            Cell(text=differences),
        )
        found.append(Row(key=of, cells=cells))
    for other in job.repeated_by:
        cells = (
            Cell(text=other, href=job_link(other)),
            Cell(text="repeats this job"),
            Cell(text="see there"),
            Cell(text=amounts.UNKNOWN),
        )
        found.append(Row(key=other, cells=cells))
    return found


def log_note(log: LogTail) -> str:
    """Say what of the log is shown."""
    if not log.text and not log.left_out_bytes:
        return "It has written nothing."
    return f"{amounts.size(log.left_out_bytes)} before this are left out." if log.left_out_bytes else ""


class _Drawn:
    """What is drawn of the page."""

    def __init__(self) -> None:
        self._built = False
        self._charts: dict[str, parts.Chart] = {}

    def draw(self, found: JobView) -> None:
        """Draw the first time, change what is there later."""
        if not self._built:
            self._built = True
            self._build(found)
        self._tiles.show(figures(found.job))
        self._facts.show(facts(found.job))
        self._result.show(found.job.result or "")
        self._traceback.show(found.job.traceback or "")
        self._decide(found)
        self._attempts.show(measured.rows(found.attempts))
        last = next((one for one in reversed(found.attempts) if one.telemetry), None)
        self._measured.show(measured.facts(last.telemetry) if last is not None else {})
        self._telemetry(found.samples)
        self._log.show(found.log.text)
        self._log_note.text = log_note(found.log)
        repeats = repeat_rows(found.job)
        self._repeats.show(repeats)
        self._repeats.element.set_visibility(bool(repeats))
        self._repeat_note.set_visibility(not repeats)

    def _build(self, found: JobView) -> None:
        from nicegui import ui

        self._tiles = parts.Tiles()
        with parts.panel(found.job.row.name):
            self._facts = parts.Facts()
            self._result = parts.Block("Result")
            self._traceback = parts.Block("How it failed")
        with parts.panel("Decision", "Every candidate, best first, with its predicted runtime, and why it lost."):
            self._undecided = parts.caption("Not placed yet: there is no decision to show.")
            with ui.element("div") as self._decided:
                self._runtimes = parts.Chart("Predicted runtime of each candidate, 10 to 90 %, and what was measured")
                self._decision_note = parts.caption("")
                self._made_of = parts.Chart("What the score of each candidate is made of, term by term")
                self._candidates = parts.Table(decisions.COLUMNS, "Candidates with prediction, cost, risk and score")
                parts.text("h3", "Predicted against actual")
                self._compared = parts.Facts()
        with parts.panel("Attempts", measured.NOTE):
            self._attempts = parts.Table(measured.COLUMNS, "Attempts, oldest first")
            with ui.element("details"):
                parts.text("summary", "Everything measured of the last attempt")
                self._measured = parts.Facts()
        with parts.panel("Telemetry", "What its attempts used while they ran."):
            self._curves = ui.element("div").classes("columns")
            self._no_curve = parts.caption(measured.TOO_SHORT)
        with parts.panel("Log", f"The last {MOST_LOG_BYTES >> 10} KiB of what it wrote."):
            self._log = parts.Block("Output")
            self._log_note = parts.caption("")
        with parts.panel("Repeats", "Whether the same work from the same beginning ends alike."):
            self._repeats = parts.Table(REPEAT_COLUMNS, "Repeats of this job")
            self._repeat_note = parts.empty(
                "Not repeated", "Run it again from its initial state and compare the two ends:", _repeat(found.job)
            )

    def _decide(self, found: JobView) -> None:
        decision = found.decision
        self._undecided.set_visibility(decision is None)
        self._decided.set_visibility(decision is not None)
        if decision is not None:
            came = decisions.outcome(decision, [one.row for one in found.attempts])
            self._runtimes.show(decisions.runtimes(decision, came), decisions.height(decision))
            self._made_of.show(decisions.made_of(decision), decisions.height(decision) if decision.terms else "0")
            self._decision_note.text = decisions.told(decision)
            self._candidates.show(decisions.rows(decision))
            self._compared.show(decisions.compared(came))

    def _telemetry(self, samples: Sequence[Sample]) -> None:
        from nicegui import ui

        drawn = measured.curves(samples)
        self._no_curve.set_visibility(not drawn)
        units = {curve.title: curve.unit for curve in measured.CURVES}
        for title, option in drawn.items():
            if title not in self._charts:
                with self._curves, ui.element("div"):
                    parts.text("h3", f"{title}, {units[title]}")
                    self._charts[title] = parts.Chart(f"{title} in {units[title]} over time", "10rem")
            self._charts[title].show(option)


def _repeat(job: JobNow) -> str:
    return f"dnaml repeat {job.row.id}"
