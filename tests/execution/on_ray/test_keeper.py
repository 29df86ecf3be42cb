"""The keeper of raylets answers whatever Ray raises, so that one raylet that fails does not end the others."""

import pytest

from dnaml.execution.on_ray.keeper import Add, Answer, Keeper, Look, Remove


@pytest.mark.parametrize(
    "error", [Exception("it timed out\n during startup"), RuntimeError("it timed out during startup")]
)
def test_a_raylet_that_does_not_start_in_time_is_answered_with_its_reason(error, monkeypatch):
    def fails(self: Keeper, asked: Add) -> None:
        raise error

    monkeypatch.setattr(Keeper, "_add", fails)
    keeper = Keeper("127.0.0.1:1")
    answer = keeper.answer(Add(id="a", cpus=1, labels={}, amounts={}))
    assert answer == Answer(ok=False, error="it timed out during startup")
    assert not keeper.answer(Look(id="a")).ok
    assert keeper.answer(Remove(id="a")).ok
    keeper.close()
