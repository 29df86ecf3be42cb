"""How a test judges a fault: nothing lost or doubled, every figure within its bar, or skipped with the reason."""

import pytest

from benchmarks.faults.outcome import Outcome


def judged(outcome: Outcome, *, busy: tuple[str, ...] = ()) -> None:
    """Fail unless the outcome holds; those named `busy` hang on what else the machine does."""
    if outcome.skipped:
        pytest.skip(outcome.skipped)
    missed = [figure for figure in outcome.figures if not figure.holds and figure.name not in busy]
    assert not missed, outcome.line()
    assert all(figure.value is not None for figure in outcome.figures), outcome.line()
    assert (outcome.lost, outcome.duplicated) == (0, 0), outcome.line()
