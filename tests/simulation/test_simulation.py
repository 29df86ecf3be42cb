"""The simulator: what is charged, what happens when, and that equal input gives an equal run."""

import tracemalloc

import numpy as np
import pytest

import dnaml
from dnaml.core.errors import InputError
from dnaml.core.resource import Resource
from dnaml.datasets.traces.trace import Phases, Trace, TraceJob
from dnaml.schedule.rounds.fifo import Fifo
from dnaml.schedule.rounds.registry import by_name
from dnaml.schedule.rounds.round import Allocation
from dnaml.schedule.rounds.srpt import Srpt
from dnaml.simulation import Settings, replay
from dnaml.simulation.settings import Change, Disturbances
from dnaml.simulation.tally import Durations


def trace_of(*jobs, slots=(1,), price=(3600.0,), round_s=0.0, **given):
    """Return a trace of (arrival, runtimes) or (arrival, runtimes, units); a unit second costs a dollar."""
    made = [
        TraceJob(
            id=f"j{i}",
            arrival_s=float(job[0]),
            runtime_s=np.asarray(job[1], dtype=float),
            units=np.full(len(slots), job[2] if len(job) > 2 else 1),
            deadline_s=job[3] if len(job) > 3 else np.inf,
        )
        for i, job in enumerate(jobs)
    ]
    pools = tuple(
        Resource(id=f"p{m}", slots=count, price_usd_per_h=usd, power_w=10.0)
        for m, (count, usd) in enumerate(zip(slots, price, strict=True))
    )
    return Trace(name="trace", resources=pools, pool=np.arange(len(slots)), jobs=made, round_s=round_s, **given)


def test_jobs_wait_their_turn_and_every_unit_held_is_paid():
    report = replay(trace_of((0, [10.0]), (5, [10.0]), (30, [5.0], 1, 31.0)), Fifo())
    assert [outcome.ended_s for outcome in report.outcomes] == [10.0, 20.0, 35.0]
    assert report.mean_jct_s == pytest.approx((10 + 15 + 5) / 3)
    assert (report.makespan_s, report.cost_usd, report.energy_j) == (35.0, pytest.approx(25.0), pytest.approx(250.0))
    assert (report.jobs, report.late, report.restarts) == (3, 1, 0)
    assert report.utilisation == pytest.approx(25 / 35)


def test_decisions_fall_on_rounds_and_the_clock_of_rounds_begins_when_work_does():
    report = replay(trace_of((0, [90.0]), (10, [10.0]), (500, [1.0]), round_s=60.0), Fifo())
    assert [outcome.started_s for outcome in report.outcomes] == [0.0, 120.0, 500.0]
    assert report.cost_usd == pytest.approx(101.0)


def test_a_preempted_job_goes_on_from_where_it_was_and_pays_its_restart():
    report = replay(trace_of((0, [100.0]), (10, [5.0])), Srpt(), Settings(restart_s=2.0))
    ended = {outcome.id: outcome.ended_s for outcome in report.outcomes}
    assert ended == {"j1": 17.0, "j0": pytest.approx(17.0 + 2.0 + 92.0)}
    assert report.restarts == 1


def test_a_failure_takes_back_to_the_last_checkpoint():
    disturbances = Disturbances(failures_per_h=40.0)
    bare = replay(trace_of((0, [600.0])), Fifo(), Settings(disturbances=disturbances, seed=1))
    settings = Settings(disturbances=disturbances, seed=1, checkpoint_every_s=20.0, checkpoint_s=1.0)
    sealed = replay(trace_of((0, [600.0])), Fifo(), settings)
    assert bare.failures > sealed.failures > 0
    assert bare.makespan_s > sealed.makespan_s > 630.0
    assert sealed.restarts == sealed.failures


def test_stragglers_take_longer_than_was_told():
    slow = Settings(disturbances=Disturbances(straggler_share=1.0, straggler_factor=3.0))
    assert replay(trace_of((0, [10.0])), Fifo(), slow).makespan_s == pytest.approx(30.0)


def test_a_pool_that_shrinks_preempts_its_newest_gang_and_prices_hold_from_their_moment():
    changes = (
        Change(at_s=4.0, resource_id="p0", slots=1),
        Change(at_s=6.0, resource_id="p0", price_usd_per_h=7200.0),
        Change(at_s=20.0, resource_id="p0", slots=2),
    )
    settings = Settings(disturbances=Disturbances(changes=changes))
    report = replay(trace_of((0, [10.0]), (1, [10.0]), slots=(2,)), Fifo(), settings)
    assert {outcome.id: outcome.ended_s for outcome in report.outcomes} == {"j0": 10.0, "j1": 20.0}
    assert report.failures == 1
    assert report.cost_usd == pytest.approx(6 + 3 + 2 * 4 + 2 * 10)
    with pytest.raises(InputError, match="a change names 'p9'"):
        replay(
            trace_of((0, [1.0])),
            Fifo(),
            Settings(disturbances=Disturbances(changes=(Change(at_s=0, resource_id="p9"),))),
        )


def test_prediction_error_misleads_the_policy_only_and_is_gone_once_the_job_ran():
    jobs = [(0, [100.0 + i]) for i in range(20)]
    exact = replay(trace_of(*jobs), Srpt())
    wrong = replay(trace_of(*jobs), Srpt(), Settings(disturbances=Disturbances(error_sd=1.0), seed=3))
    never = replay(trace_of(*jobs), Srpt(), Settings(disturbances=Disturbances(error_sd=1.0, learns=False), seed=3))
    assert exact.mean_jct_s < wrong.mean_jct_s
    assert exact.makespan_s == pytest.approx(wrong.makespan_s) == pytest.approx(never.makespan_s)
    told = dnaml.simulate(trace_of(*jobs), policy="srpt", predictor=lambda job: 1000.0 - job.runtime_s)
    assert told.mean_jct_s > exact.mean_jct_s


def test_jobs_that_can_never_run_are_named_with_the_reason():
    report = replay(trace_of((0, [np.inf]), (0, [5.0], 3), (0, [5.0])), Fifo())
    assert report.unplaced == {
        "j0": "it can run in no configuration",
        "j1": "its smallest gang of 3 is larger than every pool it can run on",
    }
    assert report.jobs == 1


def test_a_policy_that_places_nothing_ends_the_run():
    class Idle:
        name, refresh_rounds = "idle", 1

        def allocate(self, now):
            return Allocation(choice=np.full(len(now.numbers), -1))

    report = replay(trace_of((0, [5.0]), round_s=60.0), Idle())
    assert report.unplaced == {"j0": "the policy idle left it waiting with nothing else to do"}
    assert np.isnan(report.mean_jct_s)
    assert report.makespan_s == 0.0


def test_a_policy_that_overbooks_is_refused():
    class Greedy:
        name, refresh_rounds = "greedy", 0

        def allocate(self, now):
            return Allocation(choice=np.zeros(len(now.numbers), dtype=np.int64))

    with pytest.raises(InputError, match="pool 0 has 1 units, the allocation uses 2"):
        replay(trace_of((0, [5.0]), (0, [5.0])), Greedy())


def test_arrivals_out_of_order_and_a_trace_without_pools_are_refused():
    with pytest.raises(InputError, match="jobs must come by arrival"):
        replay(trace_of((5, [1.0]), (4, [1.0])), Fifo())
    with pytest.raises(InputError, match="at least one pool"):
        replay(Trace(name="none", resources=(), pool=np.empty(0, dtype=np.int64), jobs=[]), Fifo())


def test_a_job_with_phases_ends_when_they_say_also_after_a_move():
    course = Phases(done=np.array([0.0, 0.5, 1.0]), left_s=np.array([[30.0, 60.0], [10.0, 40.0], [0.0, 0.0]]))
    job = TraceJob(id="p", arrival_s=0.0, runtime_s=course.left_s[0], units=np.array([1, 1]), phases=course)
    short = TraceJob(id="s", arrival_s=10.0, runtime_s=np.array([4.0, np.inf]), units=np.array([1, 1]))
    pools = (Resource(id="a"), Resource(id="b"))
    report = replay(Trace(name="t", resources=pools, pool=np.arange(2), jobs=[job, short]), Srpt())
    ended = {outcome.id: outcome.ended_s for outcome in report.outcomes}
    assert ended["s"] == 14.0
    # a quarter is done after 10 s on a; 4 s on b (40 s a whole half) add 0.1 of it; 18 + 10 - 4 s are left on a
    assert ended["p"] == pytest.approx(14.0 + (0.5 - 0.25 - 0.5 * 4 / 20) / 0.5 * 20 + 10)
    assert course.speed_at(0.1).tolist() == [0.5 / 20, 0.5 / 20]


def test_equal_seeds_give_equal_runs_and_unlike_seeds_do_not():
    jobs = [(i * 3, [50.0 + 7 * i, 90.0]) for i in range(40)]
    settings = [
        Settings(
            seed=seed, restart_s=1.0, disturbances=Disturbances(failures_per_h=20.0, error_sd=0.5, straggler_share=0.2)
        )
        for seed in (4, 4, 5)
    ]
    first, again, other = (
        replay(trace_of(*jobs, slots=(2, 2), price=(2.0, 1.0)), Srpt(), one).outcomes for one in settings
    )
    assert first == again
    assert first != other


def test_a_policy_is_asked_again_as_soon_as_it_wishes():
    class Eager:
        name, refresh_rounds = "eager", 10

        def __init__(self):
            self.asked_s = []

        def allocate(self, now):
            self.asked_s.append(now.at_s)
            return Allocation(choice=np.zeros(1, dtype=np.int64), again_rounds=1 if now.at_s < 20.0 else None)

    eager = Eager()
    replay(trace_of((0, [200.0]), round_s=10.0), eager)
    assert eager.asked_s == [0.0, 10.0, 20.0, 120.0]


def test_the_oracle_is_told_the_truth_and_the_others_are_not():
    jobs = [(0, [40.0 + i, 60.0 - i]) for i in range(12)]
    trace = trace_of(*jobs, slots=(1, 2), price=(2.0, 1.0))
    wrong = Settings(seed=1, disturbances=Disturbances(error_sd=2.0, learns=False))
    asked = (("dnaml", Settings(seed=1)), ("oracle", wrong), ("dnaml", wrong))
    exact, oracle, dnamls = (replay(trace, by_name(name), settings) for name, settings in asked)
    assert [one.ended_s for one in oracle.outcomes] == [one.ended_s for one in exact.outcomes]
    assert [one.ended_s for one in dnamls.outcomes] != [one.ended_s for one in exact.outcomes]
    assert (oracle.policy, exact.policy) == ("oracle", "dnaml")


def test_a_job_that_failures_never_let_end_is_given_up_with_the_reason():
    report = replay(trace_of((0, [10.0])), Fifo(), Settings(disturbances=Disturbances(failures_per_h=1e9)))
    assert report.jobs == 0
    assert "failures leave it no time to end" in report.unplaced["j0"]


@pytest.mark.parametrize("wrong", [{"failures_per_h": np.nan}, {"error_sd": np.inf}, {"straggler_factor": np.nan}])
def test_disturbances_that_are_no_numbers_are_refused(wrong):
    with pytest.raises(InputError):
        Disturbances(**wrong)


def test_without_records_quantiles_are_right_within_a_percent_and_the_measured_jobs_count_alone():
    jobs = [(i, [1.0 + i % 17]) for i in range(300)]
    whole = replay(trace_of(*jobs, slots=(30,), measured=(50, 250)), Fifo())
    lean = replay(trace_of(*jobs, slots=(30,), measured=(50, 250)), Fifo(), Settings(keep=False))
    assert lean.measured == whole.measured == 200
    assert lean.mean_jct_s == pytest.approx(whole.mean_jct_s)
    assert lean.p99_jct_s == pytest.approx(whole.p99_jct_s, rel=0.011)
    assert (lean.outcomes, lean.spans) == ((), ())
    assert np.isnan(Durations().quantile(0.5))


def test_memory_follows_the_active_jobs():
    def many(count):
        units = np.array([1])
        return (TraceJob(id=str(i), arrival_s=float(i), runtime_s=np.array([5.0]), units=units) for i in range(count))

    def measured(count):
        tracemalloc.start()
        trace = Trace(name="t", resources=(Resource(id="a", slots=10),), pool=np.array([0]), jobs=many(count))
        replay(trace, Fifo(), Settings(keep=False))
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    assert measured(1500) < 1.5 * measured(300)


@pytest.mark.parametrize(
    ("given", "wrong"),
    [
        ({"round_s": -1.0}, "round_s"),
        ({"checkpoint_every_s": 0.0}, "checkpoint_every_s"),
        ({"restart_s": np.nan}, "restart_s"),
    ],
)
def test_settings_that_make_no_sense_are_refused(given, wrong):
    with pytest.raises(InputError, match=wrong):
        Settings(**given)


def test_disturbances_that_make_no_sense_are_refused():
    with pytest.raises(InputError, match="must not be negative"):
        Disturbances(failures_per_h=-1.0)
    with pytest.raises(InputError, match="straggler_share must be in"):
        Disturbances(straggler_share=2.0)


def test_pools_can_be_sized_or_described(tmp_path):
    file = tmp_path / "jobs.csv"
    file.write_text("job_id,arrival_s,runtime_s:a\nx,0,10\ny,0,10\n")
    assert dnaml.simulate(file, policy="fifo").makespan_s == 20.0
    assert dnaml.simulate(file, {"a": 2}, "fifo").makespan_s == 10.0
    priced = Resource(id="a", slots=2, price_usd_per_h=3600.0)
    assert dnaml.simulate(file, [priced], "fifo").cost_usd == pytest.approx(20.0)
    with pytest.raises(InputError, match="has no pool 'z'"):
        dnaml.simulate(file, {"z": 2}, "fifo")
    with pytest.raises(InputError, match="has no pool 'z'"):
        dnaml.simulate(file, [Resource(id="z")], "fifo")


@pytest.mark.serial
def test_a_hundred_thousand_events_cost_a_few_seconds_beside_the_policy():
    rng = np.random.default_rng(0)
    arrival_s, runtime_s, units = np.cumsum(rng.exponential(1.0, 8000)), rng.exponential(40.0, (8000, 1)), np.array([1])
    jobs = (
        TraceJob(id=str(i), arrival_s=float(at), runtime_s=runtime_s[i], units=units) for i, at in enumerate(arrival_s)
    )
    trace = Trace(name="t", resources=(Resource(id="a", slots=50),), pool=np.array([0]), jobs=jobs)
    report = replay(trace, Fifo(), Settings(keep=False))
    assert report.events == 3 * 8000
    assert report.events / report.simulator_cpu_s > 15_000  # a quiet core does about ten times that


@pytest.mark.parametrize(
    ("given", "wrong"),
    [
        ({"arrival_s": np.nan}, "arrival_s must be finite, got nan"),
        ({"deadline_s": np.nan}, "deadline_s must be a number"),
        ({"weight": 0.0}, "weight must be positive and finite, got 0.0"),
        ({"weight": np.nan}, "weight must be positive"),
        ({"restart_s": np.nan}, "restart_s must not be negative and must be finite, got nan"),
        ({"runtime_s": np.array([np.nan])}, "got nan and 1"),
        ({"runtime_s": np.array([-1.0])}, "got -1.0 and 1"),
        ({"units": np.array([0])}, "got 5.0 and 0"),
    ],
)
def test_a_job_that_makes_no_sense_is_refused_by_its_name(given, wrong):
    plain = {"id": "j0", "arrival_s": 0.0, "runtime_s": np.array([5.0]), "units": np.array([1])}
    with pytest.raises(InputError, match=f"^j0: .*{wrong}"):
        TraceJob(**{**plain, **given})


def test_identical_ids_are_refused_by_name():
    job = TraceJob(id="twin", arrival_s=0.0, runtime_s=np.array([5.0]), units=np.array([1]))
    trace = Trace(name="t", resources=(Resource(id="a"),), pool=np.array([0]), jobs=[job, job])
    with pytest.raises(InputError, match="t: job_id 'twin' is there twice"):
        replay(trace, Fifo())


@pytest.mark.parametrize(
    ("given", "wrong"),
    [
        ({"at_s": np.nan}, "a change of p0: at_s must be finite"),
        ({"slots": -1}, "a change of p0: slots must not be negative, got -1"),
        ({"price_usd_per_h": -2.0}, "a change of p0: price_usd_per_h must be finite and not negative, got -2.0"),
    ],
)
def test_changes_that_make_no_sense_are_refused(given, wrong):
    with pytest.raises(InputError, match=wrong):
        Change(**{"at_s": 1.0, "resource_id": "p0", **given})


def test_a_job_whose_runtimes_cannot_be_predicted_says_so_and_the_others_run():
    trace = trace_of((0, [10.0, 10.0]), (0, [10.0, 10.0]), (0, [10.0, 0.0]), slots=(1, 1), price=(1.0, 1.0))

    def believe(job):
        if job.id == "j0":
            raise RuntimeError("no model")
        return np.array([np.nan, np.nan]) if job.id == "j1" else np.array([np.nan, 7.0])

    report = dnaml.simulate(trace, policy="srpt", predictor=believe)
    assert report.unplaced == {
        "j0": "its runtimes could not be predicted: RuntimeError: no model",
        "j1": "its runtimes could not be predicted: InputError: no runtime is a positive number where the job can run, "
        "got [nan, nan]",
    }
    assert [outcome.id for outcome in report.outcomes] == ["j2"]
    shapeless = dnaml.simulate(trace, policy="srpt", predictor=lambda job: np.ones(7))
    assert "a predictor must give 2 runtimes, one a configuration, got (7,)" in shapeless.unplaced["j0"]


def test_what_has_no_prediction_somewhere_is_not_run_there():
    trace = trace_of((0, [1.0, 50.0]), slots=(1, 1), price=(1.0, 1.0))
    report = dnaml.simulate(trace, predictor=lambda job: np.array([np.nan, 60.0]))
    assert report.makespan_s == 50.0
