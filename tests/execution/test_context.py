"""A computation's context: what is due is written, what is asked is heard, what fails is told."""

import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dnaml.core.attempt import Checkpoint
from dnaml.core.errors import InputError, UnpicklableError
from dnaml.execution.checkpoints import CheckpointStore
from dnaml.execution.context import Context

Make = Callable[..., Context]


@pytest.fixture
def store(tmp_path: Path) -> CheckpointStore:
    return CheckpointStore(tmp_path / "checkpoints")


@pytest.fixture
def sealed() -> list[Checkpoint]:
    return []


@pytest.fixture
def troubles() -> list[str]:
    return []


@pytest.fixture
def make(store: CheckpointStore, sealed: list[Checkpoint], troubles: list[str]) -> Make:
    def context(**changes: Any) -> Context:
        settings = {"store": store, "job_id": "job", "computation_id": "fit", "attempt_id": "a1", "epoch": 1}
        return Context(
            **{
                **settings,
                "report": lambda checkpoint, write_s: sealed.append(checkpoint),
                "trouble": troubles.append,
                **changes,
            }
        )

    return context


def test_a_plain_call_restores_the_default_saves_nothing_and_never_stops() -> None:
    context = Context.plain()
    assert context.restore(default=7) == 7
    assert context.restore() is None
    assert not context.save(0.5, pytest.fail, force=True)
    assert not context.should_stop()
    assert context.progress == 0.5
    assert (context.part, context.parts) == (0, 1)


def test_the_same_function_runs_plainly_and_from_a_checkpoint(store: CheckpointStore, make: Make) -> None:
    def total(n: int, context: Context, until: int) -> int:
        start, so_far = context.restore(default=(0, 0))
        for i in range(start, until):
            so_far += i
            context.save((i + 1) / n, (i + 1, so_far), force=True)
        return so_far

    assert total(10, Context.plain(), 10) == 45
    total(10, make(), 4)
    newest = store.newest("job")
    assert newest is not None
    told: list[float] = []
    resumed = make(epoch=2, attempt_id="a2", checkpoint_id=newest.id, restored=lambda: told.append(resumed.progress))
    assert total(10, resumed, 10) == 45
    assert told == [newest.progress]
    assert resumed.progress == 1.0


def test_a_checkpoint_is_written_when_the_interval_has_passed_and_not_before(
    make: Make, sealed: list[Checkpoint], monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now_s)
    context = make(checkpoint_every_s=10.0)
    now_s = 1009.9
    assert not context.save(0.1, pytest.fail)
    now_s = 1010.0
    assert context.save(0.2, lambda: "state")
    assert not context.save(0.3, pytest.fail)
    now_s = 1020.0
    assert context.save(0.4, "state")
    assert [checkpoint.progress for checkpoint in sealed] == [0.2, 0.4]
    assert context.write_s is not None


def test_without_an_interval_only_force_or_a_stop_request_writes(make: Make, sealed: list[Checkpoint]) -> None:
    stop = threading.Event()
    context = make(stop=stop)
    assert not context.save(0.1, pytest.fail)
    assert context.save(0.2, "state", force=True)
    stop.set()
    assert context.should_stop()
    assert context.save(0.3, "state")
    assert not context.save(0.4, pytest.fail)  # once answered, a stop request is no reason to write every step
    assert context.save(0.5, "state", force=True)
    assert [checkpoint.progress for checkpoint in sealed] == [0.2, 0.3, 0.5]


@pytest.mark.parametrize("progress", [-0.1, 1.1, float("nan")])
def test_progress_outside_its_range_is_refused(make: Make, progress: float) -> None:
    with pytest.raises(InputError, match=f"attempt a1: progress must be in .* got {progress}"):
        make().save(progress, None)


@pytest.mark.parametrize(
    ("changes", "named"), [({"checkpoint_every_s": -1.0}, "checkpoint_every_s"), ({"part": 2, "parts": 2}, "part")]
)
def test_settings_that_make_no_sense_are_refused(make: Make, changes: dict[str, Any], named: str) -> None:
    with pytest.raises(InputError, match=f"attempt a1: {named} must"):
        make(**changes)


def test_a_damaged_checkpoint_is_told_and_the_one_before_is_restored(
    store: CheckpointStore, make: Make, troubles: list[str]
) -> None:
    context = make()
    context.save(0.1, "older", force=True)
    context.save(0.2, "newer", force=True)
    newest, older = store.generations("job")
    (store.folder / newest).write_bytes(b"not a checkpoint")
    again = make(epoch=2, checkpoint_id=newest)
    assert again.restore() == "older"
    assert again.progress == 0.1
    assert len(troubles) == 1
    assert "an older one is tried" in troubles[0]
    (store.folder / older).unlink()
    assert make(epoch=3, checkpoint_id=older).restore(default="from the start") == "from the start"


def test_without_a_checkpoint_chosen_by_the_engine_the_default_is_restored(make: Make) -> None:
    make().save(0.1, "of an attempt that was cancelled", force=True)
    assert make(epoch=2).restore(default="fresh") == "fresh"


def test_a_checkpoint_of_another_computation_is_not_restored(
    store: CheckpointStore, make: Make, troubles: list[str]
) -> None:
    make(computation_id="other").save(0.1, "theirs", force=True)
    newest = store.newest("job")
    assert newest is not None
    assert make(checkpoint_id=newest.id).restore(default="ours") == "ours"
    assert "computation must be fit, got other" in troubles[0]


def test_a_full_or_failing_folder_is_told_and_the_computation_goes_on(
    tmp_path: Path, make: Make, troubles: list[str], sealed: list[Checkpoint]
) -> None:
    (tmp_path / "file").touch()
    context = make(store=CheckpointStore(tmp_path / "file"), checkpoint_every_s=0.0)
    assert not context.save(0.1, "state")
    assert not context.should_stop()
    assert not sealed
    assert "the computation goes on" in troubles[0]


def test_without_a_listener_trouble_goes_to_the_log(
    tmp_path: Path, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    make(store=CheckpointStore(tmp_path / "file"), trouble=None).save(0.1, "state", force=True)
    assert "the computation goes on" in caplog.text


def test_an_attempt_that_was_superseded_is_asked_to_stop_and_writes_no_more(
    store: CheckpointStore, make: Make, troubles: list[str], sealed: list[Checkpoint]
) -> None:
    context = make()
    store.fence("job", 2)
    assert not context.save(0.1, "late", force=True)
    assert context.should_stop()
    assert not context.save(0.2, pytest.fail, force=True)
    assert len(troubles) == 1
    assert not sealed


def test_a_state_that_cannot_be_stored_is_the_computations_own_error(make: Make) -> None:
    context = make()
    with pytest.raises(UnpicklableError, match="generator"):
        context.save(0.1, [(i for i in ())], force=True)
    assert context.save(0.2, "state", force=True)


def test_an_object_that_can_be_called_and_saves_itself_is_a_state_and_no_function(
    store: CheckpointStore, make: Make
) -> None:
    class Model:
        def __call__(self) -> None:
            pytest.fail("was called")

        def state_dict(self) -> dict[str, int]:
            return {"weight": 3}

        def load_state_dict(self, state: dict[str, int]) -> None:
            pytest.fail("is the user's to call")

    make().save(0.5, Model(), force=True)
    (newest, *_) = store.generations("job")
    assert make(checkpoint_id=newest).restore() == {"weight": 3}


def test_while_one_thread_writes_another_goes_on_without_waiting(make: Make, sealed: list[Checkpoint]) -> None:
    context = make()
    inside, go_on = threading.Event(), threading.Event()

    def slow() -> str:
        inside.set()
        assert go_on.wait(30)
        return "state"

    writer = threading.Thread(target=context.save, args=(0.5, slow), kwargs={"force": True})
    writer.start()
    assert inside.wait(30)
    assert not context.save(0.6, "other", force=True)
    go_on.set()
    writer.join()
    assert [checkpoint.progress for checkpoint in sealed] == [0.5]


def test_the_key_for_effects_outside_is_the_same_in_every_attempt_and_differs_by_part(make: Make) -> None:
    keys = [make(epoch=epoch, attempt_id=f"a{epoch}").idempotency_key for epoch in (1, 2)]
    assert keys == ["fit/job/0", "fit/job/0"]
    assert make(part=1, parts=2).idempotency_key == "fit/job/1"


@pytest.mark.serial
@pytest.mark.skipif(sys.gettrace() is not None, reason="a tracer (coverage) slows down every line")
def test_a_save_that_is_not_due_costs_less_than_a_microsecond(make: Make) -> None:
    context = make(checkpoint_every_s=1000.0)
    best_s = min(_cpu_s(lambda: context.save(0.5, None), 20_000) for _ in range(5))
    assert best_s < 1e-6
    assert min(_cpu_s(context.should_stop, 20_000) for _ in range(5)) < 1e-6


def _cpu_s(call: Callable[[], object], times: int) -> float:
    """Return CPU seconds of one call."""
    started_s = time.thread_time()
    for _ in range(times):
        call()
    return (time.thread_time() - started_s) / times
