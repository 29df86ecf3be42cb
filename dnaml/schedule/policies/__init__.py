"""Policies by name: the default, the seed algorithm and its guarded form, and simple ones to compare with."""

import difflib
from collections.abc import Mapping

from dnaml.core.errors import InputError
from dnaml.core.protocols import Policy
from dnaml.schedule.matching import MatchingPolicy
from dnaml.schedule.policies.cheapest import CheapestPolicy
from dnaml.schedule.policies.earliest_finish import EarliestFinishPolicy
from dnaml.schedule.policies.fifo import FifoPolicy
from dnaml.schedule.policies.guarded_matcher import GuardedMatcherPolicy
from dnaml.schedule.policies.highest_clock import HighestClockPolicy
from dnaml.schedule.policies.random_choice import RandomPolicy
from dnaml.schedule.policies.round_robin import RoundRobinPolicy
from dnaml.schedule.policies.seed_matcher import SeedMatcherPolicy

POLICIES: Mapping[str, Policy] = {
    policy.name: policy
    for policy in (
        MatchingPolicy(),
        RandomPolicy(),
        RoundRobinPolicy(),
        CheapestPolicy(),
        HighestClockPolicy(),
        FifoPolicy(),
        EarliestFinishPolicy(),
        SeedMatcherPolicy(),
        GuardedMatcherPolicy(),
    )
}
"""every policy under its name; they hold no state, so one object serves all"""


def by_name(name: str) -> Policy:
    """Return the policy of that name; raises InputError that names the nearest."""
    if name not in POLICIES:
        nearest = difflib.get_close_matches(name, POLICIES, n=1, cutoff=0.0)[0]
        raise InputError(f"policy must be one of {', '.join(POLICIES)}, got {name!r}; did you mean {nearest!r}?")
    return POLICIES[name]
