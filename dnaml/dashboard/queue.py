"""The page of the queue: jobs by state with a search and pages, and the Gantt chart of the newest placements."""

from collections.abc import Mapping
from dataclasses import dataclass

from dnaml.answers import amounts
from dnaml.answers.rows import OVER, JobRow
from dnaml.core.attempt import JobState
from dnaml.dashboard import parts
from dnaml.dashboard.gantt import NOTE, SPANS, gantt, gantt_height, within
from dnaml.dashboard.reads import About, Caller, Placements, QueuePage, QueueQuery, Reads
from dnaml.dashboard.tables import Cell, Column, Row, job_link, money

PER_PAGE, MOST_BARS = 25, 400
ALL = "all"
TONES: Mapping[str, str] = {
    "PENDING": "quiet",
    "RUNNING": "busy",
    "RECOVERING": "warn",
    "SUCCEEDED": "good",
    "FAILED": "bad",
    "CANCELLED": "quiet",
}
COLUMNS = (
    Column(title="Job", wide=True),
    Column(title="State"),
    Column(title="Resource"),
    Column(title="Submitted", numeric=True),
    Column(title="Waited", numeric=True),
    Column(title="Runtime", numeric=True),
    Column(title="Cost", numeric=True),
    Column(title="Tries", numeric=True),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueView:
    """All that the page shows at one moment."""

    page: QueuePage
    placements: Placements
    about: About


def page(reads: Reads, caller: Caller) -> None:
    """Draw jobs and placements."""
    view = _Drawn()

    def read() -> QueueView:
        query = QueueQuery(state=view.state, words=view.words, first=view.first, limit=PER_PAGE)
        return QueueView(page=reads.queue(query), placements=reads.placements(MOST_BARS), about=reads.about())

    view.feed = parts.live(read, view.draw, every_s=1.0)


def labels(counts: Mapping[JobState, int]) -> dict[str, str]:
    """Return the labels of the filters: all jobs, and those in each state, with how many they are."""
    told = {ALL: f"All {sum(counts.values()):,}"}
    return told | {state.value: f"{state.value.capitalize()} {counts.get(state, 0):,}" for state in JobState}


def rows(page: QueuePage, now_s: float) -> list[Row]:
    """Return the rows of the table."""
    return [_row(one, page.waits.get(one.id, ""), now_s) for one in page.rows]


def first_job(about: About) -> str:
    """Return what to type to submit a first job to this service."""
    token = ', token="dnaml_..."' if about.needs_token else ""
    named = next((name for name in about.allowed if ":" in name), "")
    if not named and about.allowed:
        named = f"{about.allowed[0]}:FUNCTION"
    if named:
        module, _, function = named.partition(":")
        lines = (
            "import dnaml",
            f"from {module} import {function}",
            "",
            f'with dnaml.connect("{about.url}"{token}) as ex:',
            f"    print(ex.submit({function}).result())",
        )
        return "\n".join(lines)
    if about.argv:
        bearer = " -H 'Authorization: Bearer dnaml_...'" if about.needs_token else ""
        return f'curl {about.url}/api/v1/jobs{bearer} --json \'{{"run": ["echo", "hello"]}}\''
    return "dnaml serve --allow mypackage.train   # this service lets nothing run yet: name what clients may run"


def _row(job: JobRow, waits: str, now_s: float) -> Row:
    return Row(
        key=job.id,
        cells=(
            Cell(text=job.name, href=job_link(job.id), note=_note(job, waits)),
            Cell(text=job.state.lower(), tone=TONES.get(job.state, "quiet")),
            Cell(text=job.resource_id or amounts.UNKNOWN),
            Cell(at_s=job.submitted_at_s),
            Cell(text=amounts.seconds(waited_s(job, now_s))),
            Cell(text=runtime(job, now_s)),
            Cell(text=money(job.cost_usd)),
            Cell(text=str(job.attempts)),
        ),
    )


def _note(job: JobRow, waits: str) -> str:
    told = waits or (job.error or "").strip().rpartition("\n")[2]
    return f"{job.id} · {told[:160]}" if told else job.id


def waited_s(job: JobRow, now_s: float) -> float | None:
    """Return how long a job waited for its first start, so far if it still does."""
    if job.started_at_s is not None:
        return max(0.0, job.started_at_s - job.submitted_at_s)
    return None if job.ended_at_s is not None else max(0.0, float(round(now_s - job.submitted_at_s)))


def runtime(job: JobRow, now_s: float) -> str:
    """Write a job's runtime, so far if it runs."""
    if job.state not in {state.value for state in OVER} and job.started_at_s is not None:
        return f"{amounts.seconds(max(1.0, float(round(now_s - job.started_at_s))))} …"
    return amounts.seconds(job.runtime_s)


class _Drawn:
    """What is drawn of the page, and which jobs its reader looks at."""

    def __init__(self) -> None:
        self.state: JobState | None = None
        self.words, self.first, self.span = "", 0, SPANS[0].name
        self.feed: parts.Feed | None = None
        self._built = self._filled = False

    def draw(self, found: QueueView) -> None:
        """Draw the first time, change what is there later."""
        if not self._built:
            self._built = True
            self._build(found)
        if not self._filled and any(found.page.counts.values()):
            self._fill()
        if not self._filled:
            return
        now_s = found.placements.now_s
        self._filters.show(labels(found.page.counts))
        self._table.show(rows(found.page, now_s))
        self._pager.show(self.first, found.page.matching)
        shown = within(found.placements, self.span)
        self._chart.show(gantt(shown), gantt_height(shown))

    def _build(self, found: QueueView) -> None:
        from nicegui import ui

        self._place = ui.element("div")
        if not any(found.page.counts.values()):
            with self._place:
                words = "Nothing was submitted yet. The first step:"
                self._empty = parts.empty("The queue is empty", words, first_job(found.about))

    def _fill(self) -> None:
        self._filled = True
        self._place.clear()
        with self._place:
            with parts.panel("Jobs", "The newest first; a job's page says why it went where it went."):
                self._filters = parts.Choices("Jobs in this state", ALL, self._filter)
                parts.search("Find by name or id", self._search)
                self._table = parts.Table(COLUMNS, "Jobs with state, resource and times")
                self._pager = parts.Pager(PER_PAGE, self._turn)
            with parts.panel("Placements", "What ran where, and when."):
                spans = parts.Choices("Show", self.span, self._look_back)
                spans.show({one.name: one.name for one in SPANS})
                self._chart = parts.Chart("Gantt chart of the newest attempts by resource; the jobs' pages list them")
                parts.caption(NOTE)

    async def _filter(self, key: str) -> None:
        self.state, self.first = None if key == ALL else JobState(key), 0
        await self._look()

    async def _search(self, words: str) -> None:
        self.words, self.first = words, 0
        await self._look()

    async def _turn(self, first: int) -> None:
        self.first = first
        await self._look()

    async def _look_back(self, span: str) -> None:
        self.span = span
        await self._look()

    async def _look(self) -> None:
        assert self.feed is not None
        await self.feed.again()
