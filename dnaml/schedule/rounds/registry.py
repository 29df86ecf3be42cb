"""Every round policy by name: dnaml's own and the references."""

import difflib
from collections.abc import Mapping

from dnaml.core.errors import InputError
from dnaml.schedule.rounds.adaptive import Adaptive
from dnaml.schedule.rounds.reference import REFERENCES
from dnaml.schedule.rounds.round import RoundPolicy

DEFAULT = "dnaml"
ORACLE = "oracle"
"""dnaml's own policy, told the true runtimes by whoever replays a trace: what better predictions could still gain"""
POLICIES: Mapping[str, RoundPolicy] = {DEFAULT: Adaptive(), ORACLE: Adaptive(name=ORACLE), **REFERENCES}


def by_name(name: str) -> RoundPolicy:
    """Return the round policy of that name; raises InputError that names the nearest."""
    if name not in POLICIES:
        nearest = difflib.get_close_matches(name, POLICIES, n=1, cutoff=0.0)[0]
        raise InputError(f"policy must be one of {', '.join(POLICIES)}, got {name!r}; did you mean {nearest!r}?")
    return POLICIES[name]
