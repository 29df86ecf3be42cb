"""Numbers of the Ray back end."""

from dataclasses import dataclass

from dnaml.execution.local import LocalSettings
from dnaml.execution.on_ray.wire import Timing


@dataclass(frozen=True, slots=True, kw_only=True)
class RaySettings:
    """How the Ray back end waits and works.

    An address must answer within `connect_within_s`, a cluster that is started here within `start_within_s`. `ready_s`
    is how long opening waits for the agents of the nodes that are there, and `first_within_s` for the first of them,
    which a machine with other work starts slowly; a node that is still probing after `probe_patience_s` takes work
    with what it tells unprobed. `checkpoints` is a folder that all nodes share; without
    it checkpoints are carried as bytes. A cluster of which no node takes work is refused unless it `may_be_empty`: its
    nodes come later.
    """

    local: LocalSettings = LocalSettings()
    timing: Timing = Timing()
    connect_within_s: float = 9.0
    load_within_s: float = 60.0
    start_within_s: float = 60.0
    ready_s: float = 20.0
    first_within_s: float = 60.0
    probe: bool = True
    probe_patience_s: float = 6.0
    refresh_every_s: float = 60.0
    checkpoints: str | None = None
    cpus: int | None = None
    may_be_empty: bool = False
