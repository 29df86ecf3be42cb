"""The executor on real worker processes: the standard surface, failures of every kind, and nothing left behind."""

import concurrent.futures
import os
import signal
import threading
from pathlib import Path

import psutil
import pytest

from dnaml.client import Executor
from dnaml.core.errors import (
    ComputationFailed,
    ComputationLost,
    ComputationStopped,
    InputError,
    StateInUseError,
    UnpicklableError,
)
from dnaml.core.resource import Resource
from dnaml.engine import EngineSettings
from dnaml.execution.local import LocalSettings
from tests import work

POOL = tuple(Resource(id=f"r{i}", price_usd_per_h=1.0 + i, memory_bytes=8 << 30) for i in range(3))
QUICK = EngineSettings(local=LocalSettings(stop_grace_s=0.5, tick_every_s=0.2))


@pytest.fixture
def executor(tmp_path):
    with Executor(POOL, state=tmp_path / "state", cores=2, settings=QUICK) as opened:
        yield opened


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def seen(path: Path) -> None:
    assert work.waits_for(path, 20.0), f"{path} never came"


def test_results_come_back_in_standard_futures(executor):
    futures = [executor.submit(work.double, i) for i in range(20)]
    done, waiting = concurrent.futures.wait(futures, timeout=30)
    assert not waiting
    assert isinstance(futures[0], concurrent.futures.Future)
    assert sorted(f.result() for f in concurrent.futures.as_completed(done)) == [2 * i for i in range(20)]


def test_map_keeps_the_order_and_takes_chunks(executor):
    assert list(executor.map(work.double, range(9), chunksize=4)) == [2 * i for i in range(9)]
    assert list(executor.map(pow, [2, 3], [3, 2])) == [8, 9]


def test_an_exception_is_the_users_own_with_the_workers_traceback_as_cause(executor):
    future = executor.submit(work.raises, "because")
    with pytest.raises(ValueError, match="because") as caught:
        future.result(30)
    assert "in raises" in str(caught.value.__cause__)
    assert isinstance(future.exception(), ValueError)


@pytest.mark.parametrize(
    ("function", "argument", "says"),
    [
        (work.leaves, 3, "exited with code 3"),
        (work.vanishes, 7, "exited with code 7"),
        (work.dies, signal.SIGABRT, "SIGABRT"),
        (work.dies, signal.SIGSEGV, "SIGSEGV"),
    ],
)
def test_a_computation_that_ends_its_process_is_reported_as_what_it_did(executor, function, argument, says):
    with pytest.raises(ComputationFailed, match=says):
        executor.submit(function, argument).result(30)
    assert executor.submit(work.double, 4).result(30) == 8


def test_a_computation_that_kills_every_worker_is_given_up_after_three_resources(executor):
    with pytest.raises(ComputationLost, match="3 different resources"):
        executor.submit(work.dies, signal.SIGKILL).result(60)
    assert executor.submit(work.double, 4).result(30) == 8


def test_binary_output_is_kept_byte_for_byte(executor):
    future = executor.submit(work.prints_binary)
    assert future.result(30) == "printed"
    from dnaml.history import History

    history = History.read(executor.state)
    assert b"".join(history.log(history.job(future.job_id))) == bytes(range(256))


def test_children_that_would_outlive_their_computation_are_killed(executor, tmp_path):
    pid = executor.submit(work.leaves_children, str(tmp_path)).result(30)
    assert not alive(pid)
    assert executor.submit(work.double, 1).result(30) == 2


def test_children_of_a_killed_worker_die_with_it(executor, tmp_path):
    executor.submit(work.leaves_children, str(tmp_path)).result(30)
    with pytest.raises(ComputationFailed):
        executor.submit(_child_then_exit, str(tmp_path / "child")).result(30)
    pid = int((tmp_path / "child").read_text())
    assert not alive(pid)


def _child_then_exit(path):
    work.leaves_children(os.path.dirname(path))
    os._exit(1)


def test_what_cannot_be_pickled_is_refused_before_anything_is_stored(executor):
    with pytest.raises(UnpicklableError, match="argument 0"):
        executor.submit(work.double, threading.Lock())
    lock = threading.Lock()
    with pytest.raises(UnpicklableError, match="cannot be sent"):
        executor.submit(lambda: lock.locked())
    assert not executor._futures


def test_more_memory_than_any_resource_has_is_refused_naming_the_largest(executor):
    with pytest.raises(InputError, match=r"64.0 GiB; the largest, r0, has 8.0 GiB"):
        executor.options(memory_bytes=64 << 30).submit(work.double, 1)


def test_a_waiting_job_is_cancelled_and_a_running_one_is_not(executor, tmp_path):
    blockers = [executor.submit(work.waits_for, str(tmp_path / "go")) for _ in range(4)]
    running = next(f for f in blockers if _becomes_running(f))
    waiting = next(f for f in blockers if not f.running())
    assert not running.cancel()
    assert waiting.cancel()
    assert waiting.cancelled()
    (tmp_path / "go").touch()
    assert all(f.result(30) for f in blockers if f is not waiting)


def _becomes_running(future):
    for _ in range(2000):
        if future.running():
            return True
        if concurrent.futures.wait([future], timeout=0.001).done:
            return False
    return False


def test_stop_ends_a_running_job_at_its_next_step(executor, tmp_path):
    future = executor.submit(work.until_stopped, str(tmp_path))
    seen(tmp_path / "under-way")
    future.stop()
    with pytest.raises(ComputationStopped):
        future.result(30)


def test_stop_kills_what_does_not_listen(executor, tmp_path):
    future = executor.submit(work.ignores_everything, str(tmp_path))
    seen(tmp_path / "under-way")
    future.stop()
    with pytest.raises(ComputationStopped, match="by force"):
        future.result(30)


def test_a_killed_worker_is_noticed_and_its_job_goes_on_elsewhere_from_its_checkpoint(executor, tmp_path):
    future = executor.submit(work.counts, str(tmp_path), 10)
    seen(tmp_path / "under-way")
    seen(tmp_path / "start-1-0")
    ((resource_id, pid),) = executor.running().values()
    for _ in range(4000):
        from dnaml.history import History

        view = History.read(executor.state).job(future.job_id)
        if view.last is not None and view.last.checkpoints >= 5:
            break
    os.kill(pid, signal.SIGKILL)
    assert future.result(30) == 10
    assert (tmp_path / "start-2-5").exists()
    attempts = future.record.attempts
    assert [attempt.state.value for attempt in attempts] == ["lost", "done"]
    assert attempts[0].placement.resource_id == resource_id


def test_two_calls_run_at_once_on_two_cores(tmp_path):
    with Executor(POOL, state=tmp_path / "state", cores=2, settings=QUICK, objective="min_latency") as executor:
        first = executor.submit(work.meets, str(tmp_path), "a", "b")
        second = executor.submit(work.meets, str(tmp_path), "b", "a")
        assert first.result(30)
        assert second.result(30)


def test_several_threads_submit_at_once(executor):
    results = []

    def use(start):
        results.extend(f.result(30) for f in [executor.submit(work.double, start + i) for i in range(20)])

    threads = [threading.Thread(target=use, args=(100 * n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == sorted(2 * (100 * n + i) for n in range(4) for i in range(20))


def test_functions_of_a_notebook_travel_by_value(executor):
    offset = 5
    assert executor.submit(lambda x: x + offset, 1).result(30) == 6


def test_the_decision_explains_every_candidate(executor):
    future = executor.submit(work.double, 3)
    table = future.decision.explain()
    assert set(table["resource_id"]) == {"r0", "r1", "r2"}
    assert table["chosen"].sum() == 1
    assert (table["runtime_p10_s"] <= table["runtime_p90_s"]).all()
    assert table.loc[table["chosen"], "why"].item() == "chosen"
    assert {"score_latency", "score_cost"} <= set(table)
    summed = table.filter(like="score_").sum(axis=1)
    assert summed.tolist() == pytest.approx(table["score"].tolist())


def test_the_record_holds_initial_and_terminal_state(executor):
    future = executor.submit(work.double, 3)
    future.result(30)
    record = future.record
    assert record.terminal is not None
    assert record.initial.arguments["x"]
    assert record.attempts[0].usage is not None


def test_a_second_engine_on_the_same_folder_is_refused_naming_the_process(executor, tmp_path):
    with pytest.raises(StateInUseError, match=str(os.getpid())):
        Executor(POOL, state=tmp_path / "state")


def test_shutdown_refuses_new_work_and_may_withdraw_the_waiting(tmp_path):
    executor = Executor(POOL, state=tmp_path / "state", cores=1)
    first = executor.submit(work.waits_for, str(tmp_path / "go"))
    rest = [executor.submit(work.double, i) for i in range(5)]
    assert _becomes_running(first)
    threading.Timer(0.2, (tmp_path / "go").touch).start()
    executor.shutdown(wait=True, cancel_futures=True)
    assert first.result() is True
    assert any(f.cancelled() for f in rest)
    with pytest.raises(RuntimeError, match="after shutdown"):
        executor.submit(work.double, 1)


def test_a_job_waits_while_there_is_no_resource_and_says_so(tmp_path):
    with Executor((), state=tmp_path / "state") as executor:
        future = executor.submit(work.double, 21)
        for _ in range(3000):
            if future.waiting_reason or concurrent.futures.wait([future], timeout=0.001).done:
                break
        assert "no resource" in future.waiting_reason
        executor.add_resource(POOL[0])
        assert future.result(30) == 42


def test_a_temporary_state_folder_is_removed(tmp_path):
    with Executor(POOL, state="temporary") as executor:
        folder = executor.state
        assert executor.submit(work.double, 1).result(30) == 2
    assert not folder.exists()


def test_a_command_runs_without_a_shell_and_fails_with_its_exit_code(executor, tmp_path):
    done = executor.submit_argv(
        ["sh", "-c", "echo hello > out.txt"], workdir=tmp_path, outputs=(str(tmp_path / "out.txt"),)
    )
    assert done.result(30) == 0
    assert (tmp_path / "out.txt").read_text() == "hello\n"
    with pytest.raises(ComputationFailed, match="exit code 3"):
        executor.submit_argv(["sh", "-c", "exit 3"]).result(30)
    with pytest.raises(ComputationFailed, match="cannot be started"):
        executor.submit_argv(["no-such-program"]).result(30)


def test_what_was_handed_over_ahead_is_taken_back_when_the_attempt_before_it_does_not_end(executor, tmp_path):
    for _ in range(3):
        assert all(f.result(30) == "seen" for f in [executor.submit(work.brief_unless, "", "") for _ in range(30)])
    blocked = executor.submit(work.brief_unless, str(tmp_path), "go")
    seen(tmp_path / "under-way")
    others = [executor.submit(work.brief_unless, "", "") for _ in range(40)]
    assert all(f.result(30) == "seen" for f in others)
    assert not blocked.done()
    (tmp_path / "go").touch()
    assert blocked.result(30) == "seen"


def test_an_equal_initial_state_may_reuse_the_stored_result(executor, tmp_path):
    first = executor.submit(work.tells_its_process, str(tmp_path / "a"))
    assert first.result(30)
    cached = executor.options(cache=True)
    again = cached.submit(work.tells_its_process, str(tmp_path / "a"))
    assert again.done()
    assert again.result() == first.result()
    assert again.job_id == first.job_id
    other = cached.submit(work.tells_its_process, str(tmp_path / "b"))
    assert other.job_id != first.job_id
    assert other.result(30)


def test_memory_beyond_the_resource_is_the_computations_own_failure(tmp_path):
    small = Resource(id="small", price_usd_per_h=1.0, memory_bytes=256 << 20)
    with Executor((small,), state=tmp_path / "state", settings=QUICK) as executor:
        with pytest.raises((ComputationFailed, MemoryError)):
            executor.submit(work.fills_memory, 1 << 30).result(60)
        assert executor.submit(work.double, 2).result(30) == 4


def test_what_finishes_although_it_was_asked_to_stop_keeps_its_result(tmp_path):
    patient = EngineSettings(local=LocalSettings(stop_grace_s=60.0))
    with Executor(POOL, state=tmp_path / "state", cores=2, settings=patient) as executor:
        future = executor.submit(work.waits_for, str(tmp_path / "go"))
        assert _becomes_running(future)
        future.stop()
        (tmp_path / "go").touch()
        assert future.result(60) is True


def test_an_engine_on_an_old_folder_predicts_from_the_runs_it_holds(tmp_path):
    with Executor(POOL[:1], state=tmp_path / "state", settings=QUICK) as first:
        for _ in range(4):
            assert first.submit(work.double, 5).result(30) == 10
    with Executor(POOL[:1], state=tmp_path / "state", settings=QUICK) as second:
        decision = second.submit(work.double, 5).decision
        assert decision.record.path == "runs"
