"""The peers are real rivals: each finds what it is made for, whatever side is new, and none sees an answer."""

import numpy as np
import pandas as pd
import pytest
from threadpoolctl import threadpool_limits

from benchmarks.prediction.conformal import residual_interval
from benchmarks.prediction.peers import PEERS, QUICK, Scaling
from benchmarks.prediction.peers.boosting import PooledBoosting
from benchmarks.prediction.peers.collaborative import LatentFactors, Neighbours
from benchmarks.prediction.peers.ernest import Ernest
from benchmarks.prediction.peers.history import History, ridge, side_of
from benchmarks.prediction.peers.reference import REFERENCE, FromReference
from benchmarks.prediction.peers.towers import TwoTowers
from benchmarks.prediction.tasks import COMPUTATION, RESOURCE, RUNTIME, unseen
from dnaml.predict.metrics import mape

MACHINES, WORKLOADS = 12, 30


@pytest.fixture(autouse=True)
def _one_thread():
    """Threads that wait for a busy core spin longer than they work."""
    with threadpool_limits(1):
        yield


class BriefTowers(TwoTowers):
    """The same network, trained for a shorter time: the tables here are small."""

    steps = 300


AMONG = [BriefTowers if peer is TwoTowers else peer for peer in PEERS if peer is not Ernest]


def runs(*, interaction=0.0, noise=0.0, seed=0):
    """Give every workload on every machine: sizes and speeds, and a trait that half of the machines like."""
    chance = np.random.default_rng(seed)
    size, speed = chance.normal(0, 1, WORKLOADS), chance.normal(0, 0.7, MACHINES)
    trait, taste = chance.normal(0, 1, WORKLOADS), np.where(np.arange(MACHINES) % 2, 1.0, -1.0)
    m, w = (axis.ravel() for axis in np.meshgrid(np.arange(MACHINES), np.arange(WORKLOADS)))
    return pd.DataFrame(
        {
            RESOURCE: [f"m{at}" for at in m],
            COMPUTATION: [f"w{at}" for at in w],
            RUNTIME: np.exp(size[w] - speed[m] + interaction * trait[w] * taste[m] + chance.normal(0, noise, len(m))),
            "c_size": size[w],
            "c_trait": trait[w],
            "r_speed": speed[m],
            "r_taste": taste[m],
        }
    )


def split(table, side=RESOURCE, target="m3", count=6):
    mine = table[side] == target
    rows = table[mine].sample(frac=1, random_state=1)
    return table[~mine], rows[:count].reset_index(drop=True), rows[count:].reset_index(drop=True)


def error(peer, table, **how):
    train, probes, query = split(table, **how)
    answer = peer(train, how.get("side", RESOURCE)).predict(probes, unseen(query))
    return None if answer is None else mape(query[RUNTIME].to_numpy(), answer)


@pytest.mark.parametrize("peer", AMONG, ids=lambda peer: peer.name)
@pytest.mark.parametrize(("side", "target"), [(RESOURCE, "m3"), (COMPUTATION, "w7")])
def test_a_peer_learns_what_the_additive_model_says_exactly(peer, side, target):
    limit = 60 if peer is PooledBoosting else 25
    assert error(peer, runs(), side=side, target=target) < limit


@pytest.mark.parametrize("peer", [peer for peer in AMONG if peer not in (Scaling, PooledBoosting)])
def test_a_peer_that_can_tell_tastes_apart_beats_scaling_where_there_are_some(peer):
    table = runs(interaction=0.6)
    assert error(peer, table) < error(Scaling, table)


def test_scaling_is_exact_without_tastes():
    assert error(Scaling, runs(), count=1) < 1e-3 * 100


def test_an_unknown_item_is_told_by_its_features():
    train, probes, query = split(runs())
    train = train[~train[COMPUTATION].isin(query[COMPUTATION][:5])]
    for peer in (Scaling, Neighbours, LatentFactors):
        answer = peer(train, RESOURCE).predict(probes, unseen(query))
        assert mape(query[RUNTIME].to_numpy(), answer) < 10


def test_the_new_side_is_the_one_with_a_single_id():
    table = runs()
    _, probes, query = split(table)
    assert side_of(probes, unseen(query)) == RESOURCE
    _, probes, query = split(table, side=COMPUTATION, target="w1")
    assert side_of(probes, unseen(query)) == COMPUTATION


def test_a_history_keeps_the_median_of_repeats_and_gaps():
    table = pd.DataFrame(
        {
            RESOURCE: ["a", "a", "a", "b"],
            COMPUTATION: ["f", "f", "f", "g"],
            RUNTIME: np.exp([1.0, 2.0, 9.0, 4.0]),
            "c_x": [0.0, 0.0, 0.0, 1.0],
        }
    )
    history = History(table, RESOURCE)
    np.testing.assert_allclose(history.logs, [[2.0, np.nan], [np.nan, 4.0]])


def test_ridge_answers_several_targets_at_once():
    x = np.random.default_rng(0).normal(size=(200, 3))
    y = x @ np.array([[1.0, 0.0], [0.0, 2.0], [0.0, 0.0]]) + 5
    np.testing.assert_allclose(ridge(x, y, x[:4], 1e-9), y[:4], atol=1e-6)


def test_ernest_finds_the_curve_that_it_assumes():
    nodes = np.arange(2, 14)
    curve = pd.DataFrame(
        {
            RESOURCE: [f"n{count}" for count in nodes],
            COMPUTATION: "job",
            RUNTIME: 3 + 40 / nodes + 0.5 * nodes,
            "r_n": nodes,
            "c_size": 1.0,
        }
    )
    history = curve.assign(**{COMPUTATION: "other"})
    ernest = Ernest(history, COMPUTATION)
    answer = ernest.predict(curve[::2].reset_index(drop=True), unseen(curve))
    np.testing.assert_allclose(answer, curve[RUNTIME], rtol=0.02)
    assert ernest.predict(curve[:1], unseen(curve)) is None
    assert Ernest(history, RESOURCE).predict(curve[::2], unseen(curve)) is None


def test_telemetry_of_the_reference_run_tells_what_its_time_does_not():
    table = runs(interaction=0.8)
    table[RESOURCE] = table[RESOURCE].replace({"m0": REFERENCE})
    table["r_is_wide"] = table["r_taste"]
    errors = {}
    for seen in (True, False):
        errors[seen] = []
        for workload in (f"w{at}" for at in (1, 8, 15, 22)):
            mine = table[COMPUTATION] == workload
            frame = table.assign(t_trait=table["c_trait"]) if seen else table
            probes, query = frame[mine & (table[RESOURCE] == REFERENCE)], frame[mine & (table[RESOURCE] != REFERENCE)]
            answer = FromReference(frame[~mine], COMPUTATION).predict(probes, query)
            errors[seen].append(mape(query[RUNTIME].to_numpy(), answer))
    assert np.mean(errors[True]) < 0.7 * np.mean(errors[False])


@pytest.mark.parametrize("peer", [peer for peer in QUICK if peer is not Scaling], ids=lambda peer: peer.name)
def test_a_conformal_interval_holds_about_eight_of_ten_on_a_new_machine(peer):
    inside = []
    for seed, target in enumerate(("m1", "m4", "m8")):
        train, probes, query = split(runs(interaction=0.3, noise=0.1, seed=seed), target=target)
        low, high = residual_interval(peer, train, RESOURCE, len(probes))
        residual = np.log(query[RUNTIME].to_numpy() / peer(train, RESOURCE).predict(probes, unseen(query)))
        inside.append(np.mean((residual >= low) & (residual <= high)))
    assert 0.55 < np.mean(inside) < 0.98


def test_one_entity_alone_gives_no_interval():
    table = runs()
    assert np.isnan(residual_interval(Scaling, table[table[RESOURCE] == "m1"], RESOURCE, 3)).all()
