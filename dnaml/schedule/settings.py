"""The numbers that a controller goes by, all of them: what each bounds, and where it bites."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from dnaml.schedule.migration import RULE, MigrationRule


@dataclass(frozen=True, slots=True, kw_only=True)
class ControllerSettings:
    """Numbers the controller goes by. A job is given up after `distinct_losses` resources or `most_losses` in all.

    `cores` limits attempts at once in each domain; no entry means no limit. With `own_clocks` each resource's queue
    advances by the runtime of its attempts instead of by the time on the wall: for resources that share cores.
    """

    window_jobs: int = 64
    """that a plan is made for; as many as there are resources where these are many"""
    wide_resources: int = 64
    """with more resources than this an end is answered by itself, and a plan is made when many have ended"""
    distinct_losses: int = 3
    most_losses: int = 6
    learn_every_s: float = 0.2
    cores: Mapping[str, int] = field(default_factory=dict)
    own_clocks: bool = False
    checkpoint_every_s: float = 2.0
    """until it is measured how long a checkpoint of the computation takes"""
    most_checkpoint_every_s: float = 300.0
    """however safe the resource is"""
    migration: MigrationRule = RULE
    seal_ticks: int = 5
    """a move waits so many ticks for a fresh checkpoint, then goes on from the newest there is"""
    confirm_ticks: int = 3
    """the source of a move goes on for so many ticks beside a target that began and tells nothing"""
    speculation_share: float = 0.1
    """of all work done, that copies of stragglers may add to it"""
    speculation_least_s: float = 1.0
    """an attempt that is expected to end sooner gets no copy"""
    explore_share: float = 0.2
    """of the jobs that come alone and are bound by no deadline, cost or priority, that may try what is not known"""
    explore_lost: float = 0.02
    """of all work done, that trials may lose"""
    spot_check_share: float = 0.0
    """of the single jobs that succeeded, that run once more elsewhere"""
    spot_check_first: int = 100
    """where there are checks, all results of a resource are checked until so many of them were confirmed"""
    cooldown_s: float = 60.0
    """a flapping resource takes no work for so long, twice as long each time"""
    most_cooldown_s: float = 600.0
    quiet_s: float = 300.0
    """after so long without going down a resource starts afresh"""
    overrun_factor: float = 20.0
    """an attempt of a known computation is killed after so many times its predicted p90"""
    overrun_least_s: float = 60.0
    overrun_known_runs: int = 3
    """a computation is known, in this sense, after so many results"""
    preempts: bool = True
    """waiting jobs of higher priority may interrupt checkpointable ones of lower priority"""
    most_preemptions: int = 2
    """of one job"""
    splits: bool = True
    """divisible jobs may be split"""
