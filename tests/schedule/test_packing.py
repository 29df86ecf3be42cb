"""Packing against trying every node, with releases; what is refused; the reasons for what fits nowhere."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dnaml.core.errors import InputError
from dnaml.schedule.packing import Demand, Node, Packer, PackingWeights, Spot, pack, scarcity
from tests.speed import least, slowness

MODELS = ("", "P4", "V100")
nodes_ = st.builds(
    Node,
    cpu_milli=st.integers(0, 8000),
    memory_bytes=st.integers(0, 100),
    gpus=st.integers(0, 4),
    model=st.sampled_from(MODELS),
)
models_ = st.frozensets(st.sampled_from(MODELS[1:]), max_size=2)
amounts_ = {"cpu_milli": st.integers(0, 3000), "memory_bytes": st.integers(0, 40), "models": models_}
demands_ = st.one_of(
    st.builds(Demand, gpus=st.integers(0, 3), **amounts_),
    st.builds(Demand, gpus=st.just(1), gpu_milli=st.sampled_from([1, 250, 400, 500, 600, 999]), **amounts_),
)


def drawn(seed=0, nodes=40, demands=30):
    rng = np.random.default_rng(seed)
    pool = [
        Node(
            cpu_milli=int(rng.integers(8, 65)) * 1000,
            memory_bytes=int(rng.integers(50, 300)),
            gpus=int(gpus),
            model=MODELS[1 + int(rng.integers(2))] if gpus else "",
        )
        for gpus in rng.choice([0, 2, 4, 8], nodes)
    ]
    wanted = [
        Demand(
            cpu_milli=int(rng.integers(1, 12)) * 1000,
            memory_bytes=int(rng.integers(1, 40)),
            gpus=int(gpus),
            gpu_milli=int(rng.choice([200, 470, 500, 810])) if gpus == 1 else 1000,
            models=frozenset(["V100"]) if rng.random() < 0.2 else frozenset(),
        )
        for gpus in rng.choice([0, 1, 1, 1, 2, 4], demands)
    ]
    return pool, wanted


class Plain:
    """Scores every node for every decision: the meaning of a Packer in a few lines."""

    def __init__(self, nodes, scarce, weights):
        self.nodes, self.scarce, self.weights = nodes, scarce, weights
        self.cpu, self.memory = [n.cpu_milli for n in nodes], [n.memory_bytes for n in nodes]
        self.cards = [[1000] * n.gpus for n in nodes]

    def score(self, i, demand):
        node, cards, w = self.nodes[i], self.cards[i], self.weights
        fits = self.cpu[i] >= demand.cpu_milli and self.memory[i] >= demand.memory_bytes
        fits &= not demand.models or node.model in demand.models
        fits &= cards.count(1000) >= demand.whole_cards and max(cards, default=0) >= demand.share_milli
        if not fits:
            return np.inf
        left = sum(cards)
        score = w.left * left / 1000 + w.whole * cards.count(1000) + w.cpu * self.cpu[i] / 1000
        score += w.scarce * self.scarce.get(node.model, 0) + w.size * node.gpus
        after, cpu = (left - demand.total_milli) / 1000, (self.cpu[i] - demand.cpu_milli) / 1000
        score += w.starved * max(0.0, after - cpu / w.cpu_per_gpu)
        if demand.share_milli:
            card = min(c for c in cards if c >= demand.share_milli)
            rest = card - demand.share_milli
            score += w.inexact * (1 - rest / 1000) * (rest > 0) + w.breaks * (card == 1000)
        return score

    def apply(self, spot, demand, sign):
        self.cpu[spot.node] += sign * demand.cpu_milli
        self.memory[spot.node] += sign * demand.memory_bytes
        for card in spot.cards:
            self.cards[spot.node][card] += sign * demand.gpu_milli


@pytest.mark.parametrize(("seed", "remembered"), [(0, 1024), (1, 1024), (2, 7), (3, 1)])
def test_decisions_equal_scoring_every_node_as_they_fill_up_and_are_released(seed, remembered):
    nodes, demands = drawn(seed)
    scarce, weights = scarcity(demands), PackingWeights()
    packer = Packer(nodes=nodes, scarce=scarce, weights=weights, remembered=remembered)
    plain, rng, live = Plain(nodes, scarce, weights), np.random.default_rng(seed), []
    for _ in range(500):
        demand = demands[int(rng.integers(len(demands)))]
        scores = [plain.score(i, demand) for i in range(len(nodes))]
        spot = packer.place(demand)
        assert (spot is None) == (min(scores) == np.inf)
        if spot is not None:
            assert scores[spot.node] == pytest.approx(min(scores), abs=1e-4)
            plain.apply(spot, demand, -1)
            live.append((demand, spot))
        if live and rng.random() < 0.3:
            ended, where = live.pop(int(rng.integers(len(live))))
            packer.release(ended, where)
            plain.apply(where, ended, 1)
    np.testing.assert_array_equal(packer.free_cpu_milli(), plain.cpu)
    np.testing.assert_array_equal(packer.free_memory_bytes(), plain.memory)
    assert [row[: len(c)].tolist() for row, c in zip(packer.free_gpu_milli(), plain.cards, strict=True)] == plain.cards


@settings(max_examples=40, deadline=None)
@given(nodes=st.lists(nodes_, max_size=6), asked=st.lists(demands_, max_size=30), data=st.data())
def test_capacity_is_never_exceeded_and_a_release_gives_all_back(nodes, asked, data):
    packer = Packer(nodes=nodes, remembered=data.draw(st.integers(1, 8)))
    whole = packer.free_gpu_milli()
    live = []
    for demand in asked:
        fits = not packer.why_not(demand)
        spot = packer.place(demand)
        assert (spot is not None) == fits
        if spot is not None:
            assert len(set(spot.cards)) == demand.gpus
            assert not demand.models or nodes[spot.node].model in demand.models
            live.append((demand, spot))
        if live and data.draw(st.booleans()):
            packer.release(*live.pop(data.draw(st.integers(0, len(live) - 1))))
        taken = np.zeros_like(whole)
        for held, where in live:
            taken[where.node, list(where.cards)] += held.gpu_milli
        np.testing.assert_array_equal(packer.free_gpu_milli(), whole - taken)
        assert packer.free_gpu_milli().min(initial=0) >= 0
        assert packer.free_cpu_milli().min(initial=0) >= 0
        assert packer.free_memory_bytes().min(initial=0) >= 0
    for held, where in live:
        packer.release(held, where)
    np.testing.assert_array_equal(packer.free_gpu_milli(), whole)
    np.testing.assert_array_equal(packer.free_cpu_milli(), [node.cpu_milli for node in nodes])


@settings(max_examples=30, deadline=None)
@given(nodes=st.lists(nodes_, max_size=5), asked=st.lists(demands_, max_size=12))
def test_a_plan_is_complete_and_equal_input_gives_an_equal_plan(nodes, asked):
    plan = pack(nodes, asked)
    assert set(plan.spots) | set(plan.unplaced) == set(range(len(asked)))
    assert not set(plan.spots) & set(plan.unplaced)
    assert all(plan.unplaced.values())
    assert plan == pack(list(nodes), list(asked))


def test_a_share_goes_to_the_fullest_card_with_room_and_a_gang_to_untouched_ones():
    packer = Packer(nodes=[Node(cpu_milli=8000, memory_bytes=10, gpus=4)])
    assert packer.place(Demand(gpus=1, gpu_milli=600)) == Spot(0, (0,))
    assert packer.place(Demand(gpus=1, gpu_milli=500)) == Spot(0, (1,))
    assert packer.place(Demand(gpus=1, gpu_milli=400)) == Spot(0, (0,))
    assert packer.place(Demand(gpus=2)) == Spot(0, (2, 3))
    assert packer.place(Demand(gpus=1)) is None
    assert packer.place(Demand(gpus=1, gpu_milli=500)) == Spot(0, (1,))


def test_a_scarce_model_and_nodes_with_gpus_are_kept_for_those_who_need_them():
    plain, scarce = (Node(cpu_milli=64_000, memory_bytes=10, gpus=2, model=model) for model in ("P4", "V100"))
    bare = Node(cpu_milli=64_000, memory_bytes=10)
    picky = Demand(gpus=1, models=frozenset(["V100"]))
    packer = Packer(nodes=[scarce, plain, bare], scarce=scarcity([picky, Demand(gpus=1)]))
    assert packer.place(Demand(gpus=1)) == Spot(1, (0,))
    assert packer.place(picky) == Spot(0, (0,))
    assert packer.place(Demand(cpu_milli=1000)) == Spot(2, ())


def test_scarcity_is_the_share_of_gpu_that_names_a_model():
    both, one, any_ = (Demand(gpus=2, models=frozenset(m)) for m in (["a", "b"], ["a"], []))
    assert scarcity({both: 1, one: 1, any_: 2}) == {"a": 0.5, "b": 0.25}
    assert scarcity([Demand(cpu_milli=1, models=frozenset(["a"]))]) == {}


@pytest.mark.parametrize(
    ("nodes", "demand", "said"),
    [
        ([], Demand(gpus=1), "there are no nodes"),
        ([Node(cpu_milli=1, memory_bytes=1, gpus=1, model="P4")], Demand(models=frozenset(["V100"])), "model (V100)"),
        ([Node(cpu_milli=1, memory_bytes=1, gpus=1)], Demand(gpus=2), "even when idle"),
        ([Node(cpu_milli=1, memory_bytes=1, gpus=1)], Demand(cpu_milli=2), "even when idle"),
        ([Node(cpu_milli=1, memory_bytes=1, gpus=1)], Demand(memory_bytes=2), "even when idle"),
    ],
)
def test_what_never_fits_is_told_why(nodes, demand, said):
    plan = pack(nodes, [demand])
    assert said in plan.unplaced[0]


def test_what_does_not_fit_now_is_told_what_the_nodes_lack():
    nodes = [Node(cpu_milli=4, memory_bytes=4, gpus=1), Node(cpu_milli=9, memory_bytes=9, gpus=1)]
    taken = [Demand(cpu_milli=4, memory_bytes=4, gpus=1, gpu_milli=500)] * 2 + [Demand(gpus=1)]
    plan = pack(nodes, [*taken, Demand(cpu_milli=4, gpus=1)])
    assert "too full" in plan.unplaced[max(plan.unplaced)]
    packer = Packer(nodes=nodes[:1])
    packer.place(Demand(cpu_milli=3, gpus=1, gpu_milli=700))
    assert "1 lack GPU, 1 CPU, 0 memory" in packer.why_not(Demand(cpu_milli=2, gpus=1, gpu_milli=400))
    assert packer.why_not(Demand(cpu_milli=1, gpus=1, gpu_milli=300)) == ""


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Node(cpu_milli=-1, memory_bytes=0), "cpu_milli must not be negative, got -1"),
        (lambda: Demand(memory_bytes=-5), "memory_bytes must not be negative, got -5"),
        (lambda: Demand(gpus=2, gpu_milli=500), "gpu_milli must be 1 to 1000"),
        (lambda: Demand(gpus=1, gpu_milli=0), "gpu_milli must be 1 to 1000"),
        (lambda: Demand(gpus=1, gpu_milli=1001), "gpu_milli must be 1 to 1000"),
        (lambda: PackingWeights(left=float("nan")), "left must be finite, got nan"),
        (lambda: PackingWeights(cpu_per_gpu=0.0), "cpu_per_gpu must be positive"),
    ],
)
def test_what_breaks_a_rule_is_refused(make, said):
    with pytest.raises(InputError, match=said):
        make()


@pytest.mark.parametrize(
    ("demand", "spot"),
    [
        (Demand(), Spot(1, ())),
        (Demand(gpus=1), Spot(0, ())),
        (Demand(gpus=1), Spot(0, (2,))),
        (Demand(gpus=2), Spot(0, (0, 0))),
        (Demand(gpus=1), Spot(0, (0,))),
        (Demand(cpu_milli=1), Spot(0, ())),
        (Demand(memory_bytes=1), Spot(0, ())),
    ],
)
def test_a_release_of_what_was_not_taken_is_refused_and_changes_nothing(demand, spot):
    packer = Packer(nodes=[Node(cpu_milli=10, memory_bytes=10, gpus=2)])
    with pytest.raises(InputError):
        packer.release(demand, spot)
    assert packer.free_gpu_milli().tolist() == [[1000, 1000]]
    assert packer.free_cpu_milli().tolist() == [10]


def test_more_kinds_of_demands_than_were_expected_are_all_remembered():
    packer = Packer(nodes=[Node(cpu_milli=10_000, memory_bytes=10, gpus=0)])
    kinds = [Demand(cpu_milli=each) for each in range(1, 140)]
    assert [packer.place(demand) for demand in kinds] == [Spot(0, ())] * len(kinds)
    assert packer.free_cpu_milli().tolist() == [10_000 - sum(range(1, 140))]


@pytest.mark.serial
def test_a_decision_among_a_thousand_nodes_takes_under_a_fifth_of_a_millisecond():
    nodes, demands = drawn(nodes=1000, demands=150)
    packer, rng = Packer(nodes=nodes), np.random.default_rng(0)
    for demand in demands:
        packer.place(demand)
    order = [demands[i] for i in rng.integers(0, len(demands), 600)]

    def decision_s():
        began_s = time.process_time()
        live = [(demand, packer.place(demand)) for demand in order]
        took_s = (time.process_time() - began_s) / len(order)
        for demand, spot in live:
            if spot is not None:
                packer.release(demand, spot)
        return took_s

    limit_s = 2e-4 * slowness()
    assert least(decision_s, limit_s) <= limit_s
