"""The checker can fail: each engine with one mistake is caught within a few hundred seeds."""

import pytest

from benchmarks.histories.checker import violations
from benchmarks.histories.world import world_of
from tests.sim.mutants import MUTANTS

WITHIN = 400
SAYS = {
    "NoEpochs": "the journal says|stale commit",
    "CommitsTwice": "told twice",
    "Forgets": "lost",
    "Overbooks": "capacity exceeded",
    "CancelsWhatIsDone": "told",
    "TellsEarly": "told",
}


@pytest.mark.parametrize("name", list(MUTANTS))
def test_a_mistake_is_caught(name):
    for seed in range(WITHIN):
        found = violations(world_of(seed, kind=MUTANTS[name]))
        if any(word in line for line in found for word in SAYS[name].split("|")):
            return
    pytest.fail(f"{name} was not caught within {WITHIN} seeds")
