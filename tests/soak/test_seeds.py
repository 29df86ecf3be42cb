"""Ten thousand seeds of the simulation that `make test` does not go through."""

import pytest

from benchmarks.histories.checker import violations
from benchmarks.histories.world import world_of

FIRST, SEEDS, EACH = 1_000, 10_000, 500


@pytest.mark.parametrize("first", range(FIRST, FIRST + SEEDS, EACH))
def test_no_seed_breaks_what_is_promised(first):
    for seed in range(first, first + EACH):
        found = violations(world_of(seed))
        assert not found, f"python -m benchmarks.histories {seed}: {found}"
