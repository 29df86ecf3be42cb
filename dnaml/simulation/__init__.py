"""Replays a trace on pools of resources under a policy, and reports what it reached.

The same round policies decide here and, through `schedule.rounds.adapter`, in the engine; nothing here knows whether
time is real.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from dnaml.core.errors import InputError
from dnaml.core.resource import Resource
from dnaml.datasets.traces.read import read
from dnaml.datasets.traces.trace import Trace
from dnaml.schedule.rounds.registry import DEFAULT, ORACLE, by_name
from dnaml.schedule.rounds.round import RoundPolicy
from dnaml.simulation.loop import Simulation
from dnaml.simulation.report import Report, report_of
from dnaml.simulation.settings import Believe, Settings

__all__ = ["Report", "Settings", "replay", "simulate"]


def simulate(
    trace: Trace | str | Path,
    resources: Mapping[str, int] | Sequence[Resource] | None = None,
    policy: RoundPolicy | str = DEFAULT,
    predictor: Believe | None = None,
    *,
    settings: Settings | None = None,
) -> Report:
    """Replay a trace under a policy and return what it reached.

    `trace` is a trace or the path of one (a CSV with `job_id`, `arrival_s` and a `runtime_s:POOL` for each pool);
    `resources` sizes or describes its pools; `predictor` gives the runtimes the policy is told of a job (default: the
    true ones). Raises InputError for an unknown policy or pool, or a malformed file.

    >>> import dnaml
    >>> from pathlib import Path
    >>> text = "job_id,arrival_s,runtime_s:big,runtime_s:small" + chr(10)
    >>> text += chr(10).join(["long,0,100,150", "short,0,10,30"])
    >>> _ = Path("jobs.csv").write_text(text)
    >>> dnaml.simulate("jobs.csv", policy="fifo_aware").makespan_s
    100.0
    >>> dnaml.simulate("jobs.csv", {"big": 2}, policy="srpt").mean_jct_s
    55.0
    """
    described = tuple(resources) if resources is not None and not isinstance(resources, Mapping) else ()
    given = trace if isinstance(trace, Trace) else read(Path(trace), resources=described)
    if isinstance(resources, Mapping):
        given = given.on(resources)
    elif described:
        given = _described(given, described)
    chosen = by_name(policy) if isinstance(policy, str) else policy
    settings = settings or Settings()
    return replay(given, chosen, settings if predictor is None else replace(settings, believe=predictor))


def _described(trace: Trace, resources: tuple[Resource, ...]) -> Trace:
    """Return the trace with its pools replaced by the resources of the same id."""
    known = {resource.id for resource in trace.resources}
    for resource in resources:
        if resource.id not in known:
            raise InputError(f"{trace.name} has no pool {resource.id!r}; its pools are {', '.join(sorted(known))}")
    by_id = {resource.id: resource for resource in resources}
    return replace(trace, resources=tuple(by_id.get(pool.id, pool) for pool in trace.resources))


def replay(trace: Trace, policy: RoundPolicy, settings: Settings | None = None) -> Report:
    """Replay a trace under a policy, once, from its first arrival to the last end; the oracle is told the truth."""
    if not trace.resources:
        raise InputError(f"{trace.name}: a trace needs at least one pool of resources")
    if isinstance(trace.jobs, Sequence):
        names = Counter(job.id for job in trace.jobs)
        if len(names) < len(trace.jobs):
            raise InputError(f"{trace.name}: job_id {names.most_common(1)[0][0]!r} is there twice")
    settings = settings or Settings()
    tally = Simulation(trace, policy, settings.exact() if policy.name == ORACLE else settings).run()
    return report_of(tally, trace.resources, trace=trace.name, policy=policy.name, measured=trace.measured)
