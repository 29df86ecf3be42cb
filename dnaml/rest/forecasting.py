"""The forecast of one tenant's jobs, bounded: so many waiting jobs, on so many resources."""

from itertools import islice
from typing import Any

from dnaml.answers.forecast import forecast
from dnaml.answers.rows import OVER
from dnaml.core.attempt import JobState
from dnaml.core.resource import Site
from dnaml.history import History
from dnaml.rest.service import Service

MOST_RESOURCES = 256


def forecast_of(service: Service, tenant: str, limit: int) -> tuple[int, list[dict[str, Any]]]:  # JSON values
    """Return how many jobs of a tenant are unfinished, and when the first of them are expected to start and end."""
    live = service.live
    jobs = live.jobs_of(tenant)
    views = live.history.jobs
    open_ids = list(islice((one for one in jobs.ids if views[one].state not in OVER), limit))
    seen = History(live.history.state)
    seen.jobs = {one: views[one] for one in open_ids}
    busy = {view.last.placement.resource_id for view in seen.jobs.values() if _runs(view) and view.last is not None}
    can_run = [one for one in service.pool() if one.site is Site.LOCAL and service.can_run_on(one.id)]
    can_run.sort(key=lambda one: one.id not in busy)
    seen.resources = {one.id: one for one in can_run[:MOST_RESOURCES]}
    rows = [one.row(seen.jobs[one.job_id]) for one in forecast(seen, service.oracle.learned(), service.engine.now_s())]
    return jobs.open, rows


def _runs(view: Any) -> bool:  # a JobView
    return view.state is JobState.RUNNING
