"""The default policy against trying everything, and against every simple policy."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from dnaml.core.plan import Plan, Problem
from dnaml.core.work import Constraints, Objective, Resilience
from dnaml.schedule.matching import MatchingPolicy, utopia
from dnaml.schedule.objective import evaluate, terms
from dnaml.schedule.policies import POLICIES
from dnaml.schedule.queues import completions
from tests.contracts.problems import problem

POLICY = MatchingPolicy()


def queues(plan: Plan) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for placement in plan.placements:
        found.setdefault(placement.resource_id, []).append(placement.job_id)
    return found


def test_one_job_goes_to_the_resource_of_least_score() -> None:
    wanted = problem([[3.0, 1.0, 2.0]], [1.0, 9.0, 1.0])
    plan = POLICY.plan(wanted)
    assert plan.placements[0].resource_id == f"r{terms(wanted).score[0].argmin()}" == "r2"
    assert plan.score["objective"] == pytest.approx(terms(wanted).score.min())
    assert plan.gap == 0.0


def test_one_job_scores_as_a_batch_of_one() -> None:
    wanted = problem([[3.0, 1.0, 2.0]], [1.0, 9.0, 1.0], hazard_per_h=[50.0, 1.0, 1.0], free_in_s=[0.0, 3.0, 1.0])
    single = POLICY.plan(wanted)
    as_batch = POLICY.plan(replace(wanted, jobs=(replace(wanted.jobs[0], resilience=Resilience(replicas=2)),)))
    assert single.placements[0].resource_id == as_batch.placements[0].resource_id
    assert single.bound == pytest.approx(single.score["objective"])


@pytest.mark.parametrize("count", [1, 5])
def test_the_parts_of_a_score_sum_to_it(count: int) -> None:
    wanted = problem(
        np.random.default_rng(0).uniform(1.0, 9.0, (count, 3)),
        [1.0, 2.0, np.nan],
        objective={"cost": 1, "latency": 2, "resilience": 3, "energy": 4},
        hazard_per_h=[1.0, 2.0, 3.0],
        resources=[{"power_w": 9.0}] * 3,
        jobs=[{"constraints": Constraints(deadline_s=25.0)}],
    )
    score = dict(POLICY.plan(wanted).score)
    parts = [score[name] for name in ("latency", "tail", "cost", "resilience", "energy", "late")]
    assert all(part > 0 for part in parts[:-1])
    assert score["objective"] == pytest.approx(sum(parts))


def test_one_job_that_fits_nowhere_is_told_why() -> None:
    wanted = problem([[1.0, 1.0]], feasible=[[False, False]])
    plan = POLICY.plan(wanted)
    assert plan.placements == ()
    assert plan.unplaced == {"j0": "table says that it cannot run on resource r0"}
    assert POLICY.plan(problem(np.empty((1, 0)))).unplaced == {"j0": "there is no resource"}


def test_no_job_makes_an_empty_plan() -> None:
    plan = POLICY.plan(problem(np.empty((0, 2))))
    assert plan.placements == ()
    assert plan.score["objective"] == 0.0


def test_the_shortest_run_first_in_every_queue() -> None:
    plan = POLICY.plan(problem([[3.0], [1.0], [2.0]], objective="min_latency", spread=0.0))
    assert queues(plan) == {"r0": ["j1", "j2", "j0"]}
    assert plan.score["mean_jct_s"] == pytest.approx((1 + 3 + 6) / 3)
    assert plan.gap == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_least_mean_completion_time_equals_trying_every_choice(seed: int) -> None:
    rng = np.random.default_rng(seed)
    runtime_s = rng.uniform(1.0, 9.0, (6, 2))
    free_in_s = rng.uniform(0.0, 5.0, 2)
    wanted = problem(runtime_s, objective="min_latency", spread=0.0, free_in_s=free_in_s.tolist())
    best = np.inf
    for choice in product(range(2), repeat=6):
        order = sorted(enumerate(choice), key=lambda item: runtime_s[item])
        _, ends = completions(wanted, order, runtime_s)
        best = min(best, float(np.mean(ends)))
    assert POLICY.plan(wanted).score["mean_jct_s"] == pytest.approx(best)
    assert utopia(wanted).jct_s == pytest.approx(best)


def test_least_cost_takes_the_cheapest_choice_of_each_job() -> None:
    rng = np.random.default_rng(0)
    runtime_s, price = rng.uniform(1.0, 9.0, (12, 3)), np.array([1.0, 2.0, 3.0])
    plan = POLICY.plan(problem(runtime_s, price.tolist(), objective="min_cost", spread=0.0))
    assert plan.score["cost_usd"] == pytest.approx((runtime_s * price).min(axis=1).sum() / 3600)


def test_equal_costs_are_told_apart_by_time() -> None:
    wanted = problem([[4.0, 2.0], [4.0, 2.0], [4.0, 2.0]], [1.0, 2.0], objective="min_cost", spread=0.0)
    assert POLICY.plan(wanted).score["mean_jct_s"] == pytest.approx(np.mean([2.0, 4.0, 4.0]))


def test_balanced_weights_lie_between_the_extremes() -> None:
    rng = np.random.default_rng(1)
    runtime_s = rng.uniform(1.0, 9.0, (30, 4))
    plans = [
        POLICY.plan(problem(runtime_s, [4.0, 1.0, 2.0, 3.0], objective=name, spread=0.0))
        for name in ("min_latency", "balanced", "min_cost")
    ]
    times = [plan.score["mean_jct_s"] for plan in plans]
    costs = [plan.score["cost_usd"] for plan in plans]
    assert times[0] < times[1] < times[2]
    assert costs[0] > costs[1] > costs[2]


def test_a_busy_resource_gets_less() -> None:
    wanted = problem([[1.0, 1.0]] * 6, objective="min_latency", free_in_s=[3.5, 0.0], spread=0.0)
    assert {key: len(queue) for key, queue in queues(POLICY.plan(wanted)).items()} == {"r1": 5, "r0": 1}


def test_slots_share_a_queue() -> None:
    wanted = problem([[1.0, 1.0]] * 9, objective="min_latency", resources=[{"slots": 2}, {}], spread=0.0)
    plan = POLICY.plan(wanted)
    assert {key: len(queue) for key, queue in queues(plan).items()} == {"r0": 6, "r1": 3}
    assert plan.score["makespan_s"] == pytest.approx(3.0)
    assert plan.gap == pytest.approx(0.0, abs=1e-9)


def test_alike_jobs_start_in_their_order() -> None:
    plan = POLICY.plan(problem([[1.0, 1.7]] * 6, objective="min_latency", spread=0.0))
    assert [p.job_id for p in plan.placements] == [f"j{i}" for i in range(6)]


def test_higher_priority_starts_first_however_long_it_runs() -> None:
    wanted = problem([[1.0], [9.0], [2.0]], jobs=[{}, {"priority": 1}, {}], objective="min_latency", spread=0.0)
    plan = POLICY.plan(wanted)
    assert queues(plan) == {"r0": ["j1", "j0", "j2"]}
    assert plan.bound is None, "the bound knows no priorities"


def test_a_lower_priority_goes_where_the_higher_is_not() -> None:
    wanted = problem([[5.0, 9.0], [5.0, 6.0]], jobs=[{"priority": 1}, {}], objective="min_latency", spread=0.0)
    assert queues(POLICY.plan(wanted)) == {"r0": ["j0"], "r1": ["j1"]}


def test_jobs_with_objectives_of_their_own_are_weighed_by_them() -> None:
    wanted = problem(
        [[4.0, 1.0], [4.0, 1.0]],
        [1.0, 10.0],
        spread=0.0,
        jobs=[{"objective": Objective.of("min_cost")}, {"objective": Objective.of("min_latency")}],
    )
    plan = POLICY.plan(wanted)
    assert queues(plan) == {"r0": ["j0"], "r1": ["j1"]}
    assert plan.bound is None


def test_a_deadline_is_kept_by_starting_early() -> None:
    wanted = problem(
        [[5.0], [1.0], [2.0]],
        jobs=[{"constraints": Constraints(deadline_s=6.5)}],
        objective="min_latency",
        spread=0.0,
    )
    plan = POLICY.plan(wanted)
    assert queues(plan) == {"r0": ["j1", "j0", "j2"]}
    assert plan.score["late"] == 0.0
    assert plan.gap is not None
    assert plan.gap > 0.0


def test_of_deadlines_that_cannot_all_be_kept_the_earliest_comes_first_and_the_loss_is_scored() -> None:
    limits = [Constraints(deadline_s=5.5), Constraints(deadline_s=5.2)]
    wanted = problem([[5.0], [5.0]], jobs=[{"constraints": c} for c in limits], objective="min_latency", spread=0.0)
    plan = POLICY.plan(wanted)
    assert queues(plan) == {"r0": ["j1", "j0"]}
    assert plan.score["late"] == pytest.approx(0.5)


def test_copies_lie_in_other_domains_and_start_last() -> None:
    wanted = problem(
        [[1.0, 1.0, 3.0], [1.0, 1.0, 3.0]],
        jobs=[{"resilience": Resilience(replicas=2)}, {}],
        resources=[{"domain": "a"}, {"domain": "a"}, {"domain": "b"}],
        objective="min_latency",
    )
    plan = POLICY.plan(wanted)
    copies = [p for p in plan.placements if p.replica == 1]
    assert [(p.job_id, p.resource_id) for p in copies] == [("j0", "r2")]
    assert plan.bound is None


def test_jobs_that_fit_nowhere_do_not_hold_up_the_rest() -> None:
    wanted = problem([[1.0, 1.0], [1.0, 1.0], [2.0, 1.0]], feasible=[[True, True], [False, False], [True, True]])
    plan = POLICY.plan(wanted)
    assert set(plan.unplaced) == {"j1"}
    assert {p.job_id for p in plan.placements} == {"j0", "j2"}
    assert POLICY.plan(replace(wanted, prediction=problem([[np.nan] * 2] * 3).prediction)).placements == ()


def test_without_a_budget_the_plan_proves_nothing_but_stands() -> None:
    rng = np.random.default_rng(3)
    wanted = problem(rng.uniform(1.0, 9.0, (40, 3)), objective="min_latency", budget=0)
    plan = POLICY.plan(wanted)
    assert plan.bound is None
    exact = POLICY.plan(replace(wanted, budget=10_000))
    assert exact.score["objective"] <= plan.score["objective"] <= 1.05 * exact.score["objective"]


def demo_like(seed: int, objective: str) -> tuple[Problem, np.ndarray, np.ndarray]:
    """Return a batch of 72 jobs on 4 resources, each with kernels that it is good at, priced by mean speed."""
    rng = np.random.default_rng(seed)
    kernel = np.exp(rng.normal(0.0, 0.35, (12, 4))) * np.array([1.0, 1.15, 1.4, 1.8])
    runtime_s = kernel[np.arange(72) % 12] * np.exp(rng.normal(0.0, 1.0, (72, 1)))
    price = 1.0 / np.exp(np.log(kernel).mean(axis=0))
    return problem(runtime_s, price.tolist(), objective=objective, spread=0.1), runtime_s, price


@pytest.mark.parametrize("objective", ["min_cost", "min_latency", "balanced"])
@pytest.mark.parametrize("seed", range(3))
def test_it_beats_every_simple_policy_under_every_preset(seed: int, objective: str) -> None:
    wanted, runtime_s, price = demo_like(seed, objective)
    references = utopia(wanted)
    reached = {}
    for name, policy in POLICIES.items():
        rows = [int(p.job_id[1:]) for p in policy.plan(wanted).placements]
        columns = [int(p.resource_id[1:]) for p in policy.plan(wanted).placements]
        _, ends = completions(wanted, list(zip(rows, columns, strict=True)), runtime_s)
        costs = (runtime_s * price / 3600)[rows, columns]
        reached[name] = evaluate(ends, costs, objective=Objective.of(objective), references=references).objective
    ours = reached.pop("matching")
    assert ours <= min(reached.values()) * (1 + 1e-9)
    simple = [reached[name] for name in ("random", "round_robin", "cheapest", "highest_clock", "seed_matcher")]
    assert ours <= 0.85 * min(simple)
