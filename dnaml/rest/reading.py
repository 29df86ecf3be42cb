"""What the dashboard's pages read, answered from the service for one caller: only what the routes would tell him."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec
from fastapi import FastAPI

from dnaml.answers.rows import attempt_row, job_row
from dnaml.core.attempt import AttemptState, Sample
from dnaml.core.dna import ResourceDNA
from dnaml.core.errors import NotFoundError
from dnaml.core.plan import Decision
from dnaml.core.resource import Kind, Resource, ResourceState, Site
from dnaml.dashboard.reads import (
    About,
    AccessEnded,
    AttemptNow,
    Bar,
    JobNow,
    LogTail,
    Placements,
    QueuePage,
    QueueQuery,
    Reads,
    ResourceNow,
)
from dnaml.datasets.samples import SampleStore
from dnaml.dna.space import resource_dna
from dnaml.history import AttemptView, JobView
from dnaml.rest.auth import Caller
from dnaml.rest.census import Census
from dnaml.rest.gate import identify
from dnaml.rest.insight import Insight
from dnaml.rest.job_answers import whole_job
from dnaml.rest.log_tail import log_tail
from dnaml.rest.service import Service

MOST_SAMPLES = 2_000
HOST_S = 10.0  # a sample of the machine that is older is no news


def opener(app: FastAPI) -> Callable[[Any], tuple[Reads, Caller]]:
    """Return what gives a page of the dashboard, by its request, who looks and what he may read."""
    censuses: dict[str, Census] = {}
    insights: dict[str, Insight] = {}

    def open_reads(request: Any) -> tuple[Reads, Caller]:  # a request of NiceGUI's own application
        service: Service = app.state.service
        caller: Caller = request.scope["state"]["caller"]
        headers = dict(request.headers)

        def check() -> None:
            if identify(service, headers) != caller:
                raise AccessEnded("this token was revoked or is over")

        census = censuses.setdefault(caller.tenant, Census(service.live, caller.tenant))
        insight = insights.setdefault(caller.tenant, Insight(service, caller.tenant))
        reading = Reading(service, caller, census, insight, url=f"{request.url.scheme}://{request.url.netloc}")
        return reading.reads().guarded(check), caller

    return open_reads


class Reading:
    """Answers one caller; every method may take some milliseconds and is called off the event loop."""

    def __init__(self, service: Service, caller: Caller, census: Census, insight: Insight, *, url: str) -> None:
        self._service, self._tenant, self._census, self._url = service, caller.tenant, census, url
        self._insight = insight

    def reads(self) -> Reads:
        """Return what pages ask."""
        return Reads(
            about=self.about,
            resources=self.resources,
            dna=self.dna,
            queue=self.queue,
            placements=self.placements,
            job=self.job,
            decision=self.decision,
            attempts=self.attempts,
            samples=self.samples,
            log=self.log,
            changed=lambda: self._service.live.hub.last,
            plane=self._insight.plane,
            trust=self._insight.trust,
            drift=self._insight.drift,
            spending=self._insight.spending,
            demand=self._insight.demand,
            registry=self._insight.registry,
        )

    def about(self) -> About:
        """Return what there is to know to submit a first job."""
        rules, settings = self._service.rules, self._service.settings
        return About(url=self._url, allowed=rules.allowed.names(), argv=rules.argv, needs_token=settings.needs_token)

    # -- the pool ----------------------------------------------------------------------------------------------------

    def resources(self) -> Sequence[ResourceNow]:
        """Return every resource, those on which work can run first."""
        service, running = self._service, self._census.now().running
        drivable = {one.id for one in service.pool()}
        local = service.settings.engine == "local"
        states, host = service.engine.controller.pool.states, self._host()
        return [
            ResourceNow(
                resource=one,
                available=service.can_run_on(one.id),
                drivable=one.id in drivable,
                running=running.get(one.id, 0),
                here=local and one.id in drivable,
                state=_fresh(one, states.get(one.id), host),
            )
            for one in service.resources()
        ]

    def _host(self) -> Sample | None:
        """Return the newest sample of this machine as a whole, if there is one of the last seconds."""
        path = self._service.live.history.state.root / "samples.sqlite"
        if not path.exists():
            return None
        with SampleStore(path) as store:
            found = [one for one in store.rows(since_s=time.time() - HOST_S) if one.attempt_id is None]
        return next((one for one in reversed(found) if "cpu_busy_share" in one.metrics), None)

    def dna(self, resource_ids: Sequence[str]) -> Sequence[ResourceDNA]:
        """Return the raw DNA of resources."""
        return [resource_dna(self._service.resource(one)) for one in resource_ids]

    # -- jobs --------------------------------------------------------------------------------------------------------

    def queue(self, query: QueueQuery) -> QueuePage:
        """Return a page of jobs, newest first."""
        live = self._service.live
        now = self._census.now()
        found, matching = self._census.matching(query)
        rows = [job_row(live.history.jobs[one], live.history) for one in found]
        waits = {one: live.waits[one] for one in found if one in live.waits}
        return QueuePage(rows=rows, matching=matching, counts=now.counts, waits=waits)

    def placements(self, most: int) -> Placements:
        """Return the newest attempts."""
        now, jobs = self._census.now(), self._service.live.history.jobs
        bars = [bar for job_id in now.placed[:most] for bar in bars_of(jobs[job_id])]
        bars.sort(key=lambda bar: (bar.started_at_s, bar.attempt_id))
        left_out = max(0, now.attempts - min(len(bars), most))
        return Placements(bars=bars[-most:], now_s=self._service.engine.now_s(), left_out=left_out)

    def job(self, job_id: str) -> JobNow:
        """Return a job with how its result reads."""
        service = self._service
        view = service.job(self._tenant, job_id)
        told = whole_job(service, view)
        result = msgspec.json.format(bytes(told.result)).decode() if told.result is not None else told.result_note
        return JobNow(
            row=job_row(view, service.live.history),
            now_s=service.engine.now_s(),
            waits_because=told.waits_because,
            wanted=wanted(view),
            result=result,
            traceback=told.traceback,
            repeat=told.repeat,
            repeated_by=[one.job_id for one in list(service.repeats.values()) if one.of == view.id],
        )

    def decision(self, job_id: str) -> Decision | None:
        """Return the newest decision about a job, None until it was placed."""
        view = self._service.job(self._tenant, job_id)
        found = self._service.live.decision(view.id)
        if found is not None or not view.attempts:
            return found
        try:
            return self._service.live.history.decision(view.id)
        except NotFoundError:
            return None

    def attempts(self, job_id: str) -> Sequence[AttemptNow]:
        """Return every try of a job, oldest first."""
        view = self._service.job(self._tenant, job_id)
        resources = self._service.live.history.resources
        return [
            AttemptNow(row=attempt_row(one, resources), telemetry=one.usage.telemetry if one.usage is not None else {})
            for one in list(view.attempts)
        ]

    def samples(self, job_id: str) -> Sequence[Sample]:
        """Return the newest telemetry of a job's attempts, oldest first."""
        view = self._service.job(self._tenant, job_id)
        path = self._service.live.history.state.root / "samples.sqlite"
        if not view.attempts or not path.exists():
            return []
        with SampleStore(path) as store:
            found = [row for one in list(view.attempts) for row in store.rows(attempt_id=one.id)]
        return found[-MOST_SAMPLES:]

    def log(self, job_id: str, most_bytes: int) -> LogTail:
        """Return the end of what a job wrote."""
        view = self._service.job(self._tenant, job_id)
        logs = self._service.live.history.state.logs
        return log_tail([one for one in list(view.attempts) if one.log is not None], logs, most_bytes)


def _fresh(one: Resource, state: ResourceState | None, host: Sample | None) -> ResourceState | None:
    """Return how a resource stands, its load from the newest sample where it is a processor of this machine."""
    if host is None or one.site is not Site.LOCAL or one.kind is not Kind.CPU:
        return state
    known = state or ResourceState(resource_id=one.id, at_s=host.at_s)
    return replace(known, at_s=host.at_s, load=host.metrics["cpu_busy_share"])


def bars_of(view: JobView) -> list[Bar]:
    """Return the attempts of a job as bars; one that another of the same copy and part followed was lost or moved."""
    attempts = list(view.attempts)
    name = view.job.name or view.computation.kernel
    return [
        Bar(
            job_id=view.id,
            name=name,
            attempt_id=one.id,
            resource_id=one.placement.resource_id,
            started_at_s=one.started_at_s,
            ended_at_s=one.ended_at_s,
            state=one.state.name,
            lost=one.state is AttemptState.LOST,
            moved=one.state is AttemptState.STOPPED and _is_followed(one, attempts[at + 1 :]),
        )
        for at, one in enumerate(attempts)
    ]


def _is_followed(one: AttemptView, later: Sequence[AttemptView]) -> bool:
    same = (one.placement.replica, one.placement.part)
    return any((other.placement.replica, other.placement.part) == same for other in later)


def wanted(view: JobView) -> Mapping[str, str]:
    """Return in words what a job asked for, as far as it differs from nothing."""
    job = view.job
    told: dict[str, str] = {"computation": view.computation.id}
    if job.objective is not None:
        shares = zip(("cost", "latency", "resilience", "energy"), job.objective.shares(), strict=True)
        told["objective"] = ", ".join(f"{name} {share:.0%}" for name, share in shares if share)
    if job.constraints.deadline_s is not None:
        told["deadline"] = f"{job.constraints.deadline_s:g} s after submission"
    if job.constraints.max_cost_usd is not None:
        told["most cost"] = f"${job.constraints.max_cost_usd:g}"
    if job.resilience.replicas > 1:
        told["copies"] = f"{job.resilience.replicas}{', by vote' if job.resilience.vote else ''}"
    if job.resilience.max_restarts:
        told["restarts"] = f"up to {job.resilience.max_restarts}"
    return told
