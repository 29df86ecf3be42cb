"""Replays a trace on pools of resources under a policy, and reports what it reached.

The same round policies decide here and, through `schedule.rounds.adapter`, in the engine; nothing here knows whether
time is real.
"""

from dnaml.core.errors import InputError
from dnaml.datasets.traces.trace import Trace
from dnaml.schedule.rounds.round import RoundPolicy
from dnaml.simulation.loop import Simulation
from dnaml.simulation.report import Report, report_of
from dnaml.simulation.settings import Settings

__all__ = ["Report", "Settings", "replay"]


def replay(trace: Trace, policy: RoundPolicy, settings: Settings | None = None) -> Report:
    """Replay a trace under a policy, once, from its first arrival to the last end."""
    if not trace.resources:
        raise InputError(f"{trace.name}: a trace needs at least one pool of resources")
    tally = Simulation(trace, policy, settings or Settings()).run()
    return report_of(tally, trace.resources, trace=trace.name, policy=policy.name, measured=trace.measured)
