"""Round policies by name: the references that published schedulers are compared with, each named after its source."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from dnaml.schedule.rounds.allox import AlloX
from dnaml.schedule.rounds.fifo import Fifo
from dnaml.schedule.rounds.gavel import FinishTimeFairness, Makespan, MaxMinFairness, Throughput
from dnaml.schedule.rounds.packing import BestFit, LeastFragmentation
from dnaml.schedule.rounds.round import FloatArray, Round, RoundPolicy
from dnaml.schedule.rounds.shares import Shares
from dnaml.schedule.rounds.sia import Sia
from dnaml.schedule.rounds.simple import EarliestFinish, Simple, Wish
from dnaml.schedule.rounds.srpt import Srpt


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstPool:
    """Shares the time of each job's first configuration among all jobs and leaves the others idle.

    This is what Gavel's type-blind FIFO does as published: its draw of a type is not used, and every job is promised
    the same type.
    """

    def shares(self, now: Round) -> FloatArray:
        """Return 1 for each job's first feasible configuration."""
        allowed = now.feasible
        first = allowed.argmax(axis=1)
        shares = np.zeros(now.left_s.shape)
        shares[np.arange(len(first)), first] = allowed.any(axis=1)
        return shares


REFERENCES: Mapping[str, RoundPolicy] = {
    policy.name: policy
    for policy in (
        Fifo(),
        Fifo(name="fifo_aware", aware=True),
        Simple(wish=Wish.CHANCE),
        Simple(wish=Wish.PRICE),
        Simple(wish=Wish.SPEED),
        EarliestFinish(),
        Srpt(),
        AlloX(),
        BestFit(),
        LeastFragmentation(),
        Sia(),
        Shares(name="gavel_fifo", sharing=FirstPool(), only_shared=True),
        Shares(name="gavel_max_min", sharing=MaxMinFairness()),
        Shares(name="gavel_max_min_blind", sharing=MaxMinFairness(aware=False)),
        Shares(name="gavel_finish_time", sharing=FinishTimeFairness()),
        Shares(name="gavel_makespan", sharing=Makespan()),
        Shares(name="gavel_throughput", sharing=Throughput()),
        Shares(name="gavel_cost", sharing=Throughput(per_usd=True)),
        Shares(name="gavel_cost_deadlines", sharing=Throughput(per_usd=True, deadlines=True)),
    )
}
"""every reference under its name; they hold no state, so one object serves all"""
