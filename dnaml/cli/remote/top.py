"""`dnaml top` of a service: the pool, one's own jobs, their expected ends, cost and what is degraded."""

import time
from collections import Counter

from dnaml.cli import top as top_verb
from dnaml.cli.overview import MOST_FORECAST, JobLine, Overview, PlaceNow, line_of
from dnaml.cli.remote.desk import PAGE, Desk, Json
from dnaml.cli.screen import Screen
from dnaml.core.attempt import JobState

MOST_RESOURCES = 5_000


def top(screen: Screen, desk: Desk, *, every: float, once: bool) -> None:
    """Watch the pool of a service and one's own jobs live."""
    top_verb.watch(screen, lambda: look(desk), every_s=every, once=once)


def look(desk: Desk) -> Overview:
    """Return how things stand now; figures of jobs are those of the newest PAGE jobs."""
    now_s = time.time()
    forecast = desk.get("/forecast", limit=MOST_FORECAST)
    page = desk.get("/jobs", limit=PAGE)
    jobs: dict[str, Json] = {one["id"]: one for one in page["items"]}
    lines = [line_of(row, _since_s(row, jobs.get(row["id"])), now_s) for row in forecast["items"]]
    running = [one for one in lines if one.state == JobState.RUNNING.value]
    costs = [one["cost_usd"] for one in jobs.values() if one["cost_usd"] is not None]
    return Overview(
        at_s=now_s,
        source=desk.url,
        engine="the service's",
        resources=_places(desk, running),
        running=running,
        waiting=[one for one in lines if one.state != JobState.RUNNING.value],
        states=dict(Counter(one["state"] for one in jobs.values())),
        unfinished=forecast["waiting"],
        cost_usd=sum(costs) if costs else None,
        counted_jobs=len(jobs),
        all_jobs=page["total"],
        degraded=list(dict.fromkeys(told for one in jobs.values() for told in one.get("degraded") or ())),
    )


def _places(desk: Desk, running: list[JobLine]) -> list[PlaceNow]:
    counts = Counter(one.resource_id for one in running)
    found = [
        PlaceNow(
            id=one["id"],
            kind=one["kind"].upper(),
            site=one["site"],
            slots=one["slots"],
            running=counts[one["id"]],
            available=one["available"],
            price_usd_per_h=one["price_usd_per_h"],
        )
        for one in desk.items("/resources", MOST_RESOURCES)
    ]
    return sorted(found, key=lambda one: (not one.available, -one.running, one.id))


def _since_s(row: Json, job: Json | None) -> float | None:
    """Return since when a job runs, or was submitted; None for one that is too old for the page."""
    if job is None:
        return None
    started_at_s = job["started_at_s"] if row["state"] == JobState.RUNNING.value else None
    return float(job["submitted_at_s"] if started_at_s is None else started_at_s)
