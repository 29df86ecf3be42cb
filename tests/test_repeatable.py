"""Repeatable computations: plain calls run here, remote ones on an executor, options travel along."""

import pytest

import dnaml
from dnaml.core.errors import InputError
from dnaml.repeatable import computation
from tests.test_client import POOL


@computation
def double(x: int) -> int:
    """Return twice the argument."""
    return 2 * x


@computation(name="steps", objective="min_cost")
def steps(count: int, *, context: dnaml.Context | None = None) -> int:
    """Count, with checkpoints where there is a context that keeps them."""
    assert context is not None
    done = context.restore(default=0)
    while done < count:
        done += 1
        context.save(done / count, done)
    return int(done)


def test_a_plain_call_runs_here_with_a_context_that_keeps_nothing() -> None:
    assert double(21) == 42
    assert double.__doc__ == "Return twice the argument."
    assert steps(3) == 3


def test_a_remote_call_goes_to_the_innermost_open_executor_with_its_options(tmp_path) -> None:
    with dnaml.Executor(POOL[:1], state=tmp_path / "state") as executor:
        assert double.remote(4).result(30) == 8
        future = steps.remote(5)
        assert future.result(30) == 5
        assert future.record.job.name == "steps"
        assert executor.submit(steps.options(name="more"), 2).record.job.name == "more"


def test_an_unknown_option_is_refused_by_name() -> None:
    with pytest.raises(InputError, match="no option 'colour'"):
        computation(colour="red")(double.function)
