"""The measuring loop: what a repeat is, what is kept of three, and what happens when a probe cannot run."""

import time

import pytest

from dnaml.telemetry.probes import Clock, Form, Pace, Probe, measure, run

FAST = Pace(rounds=3, repeat_s=0.002, limit_s=1.0)


def spin(seconds):
    begin = time.thread_time()
    while time.thread_time() - begin < seconds:
        pass


def probe(key="work_per_s", step=lambda: 1.0, **changes):
    return Probe(key=key, setup=lambda stack: step, **changes)


def test_a_repeat_lasts_as_long_as_its_clock_says():
    repeat = measure(lambda: spin(0.001) or 5.0, Clock.CPU, 0.01, 10.0)
    assert 0.01 <= repeat.cpu_s < 0.1
    assert repeat.amount == pytest.approx(5.0 * round(repeat.amount / 5.0))
    assert repeat.amount / repeat.cpu_s == pytest.approx(5000, rel=0.3)


def test_a_repeat_that_gets_no_core_ends_by_the_wall_clock():
    idle = measure(lambda: time.sleep(0.001) or 1.0, Clock.CPU, 10.0, 0.01)
    assert idle.wall_s >= 0.01
    assert idle.cpu_s < idle.wall_s


def test_the_median_of_the_repeats_its_spread_and_the_best_by_wall_are_kept():
    readings, refused = run([probe(step=lambda: spin(0.0005) or 2.0)], FAST)
    assert refused == {}
    assert set(readings) == {"work_per_s", "work_per_s_spread", "work_per_s_wall", "contention"}
    assert readings["work_per_s"] == pytest.approx(4000, rel=0.3)
    assert readings["work_per_s_spread"] >= 0
    assert readings["contention"] >= 0.9


def test_a_burst_of_foreign_load_in_one_repeat_does_not_move_the_median():
    turns = iter(range(100))

    def step():
        spin(0.02 if next(turns) == 0 else 0.002)
        return 1.0

    readings, _ = run([probe(step=step)], Pace(rounds=3, repeat_s=0.001, limit_s=5.0))
    assert readings["work_per_s"] == pytest.approx(500, rel=0.3)
    assert readings["work_per_s_spread"] > 0.5


def test_repeats_of_one_probe_are_separated_by_all_the_others():
    order = []
    probes = [probe(key=k, step=lambda k=k: order.append(k) or spin(0.003) or 1.0) for k in "abc"]
    run(probes, FAST)
    assert order == list("abc") * 3


def test_a_duration_is_seconds_a_unit_and_its_best_is_the_shortest():
    readings, _ = run([probe("latency_s", lambda: spin(0.003) or 2.0, clock=Clock.WALL, form=Form.DURATION)], FAST)
    assert 0.0015 <= readings["latency_s"] < 0.1  # two units in 3 ms of work; waiting for a core comes on top
    assert readings["latency_s_wall"] <= readings["latency_s"]
    assert "contention" not in readings


@pytest.mark.parametrize("error", [ImportError, OSError, RuntimeError, MemoryError, ValueError])
def test_a_probe_that_cannot_run_is_absent_with_its_reason_and_the_others_run(error):
    def refuse(stack):
        raise error("not here")

    readings, refused = run([Probe(key="bad_per_s", setup=refuse), probe()], FAST)
    assert "bad_per_s" not in readings
    assert "work_per_s" in readings
    assert refused["bad_per_s"].endswith("not here")


def test_what_a_setup_entered_is_left_after_the_run():
    left = []

    def setup(stack):
        stack.callback(left.append, True)
        return lambda: spin(0.001) or 1.0

    run([Probe(key="x_per_s", setup=setup)], FAST)
    assert left == [True]


def test_repeats_get_shorter_when_time_runs_out_and_every_probe_still_gets_its_turn():
    probes = [probe(key=f"p{i}_per_s", step=lambda: spin(0.0002) or 1.0) for i in range(10)]
    begin = time.perf_counter()
    readings, _ = run(probes, Pace(rounds=3, repeat_s=1.0, limit_s=0.2))
    assert time.perf_counter() - begin < 3.0  # thirty repeats of a second were asked for
    assert all(f"p{i}_per_s" in readings for i in range(10))
