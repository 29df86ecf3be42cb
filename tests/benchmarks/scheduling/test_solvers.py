"""The rows of the solvers: computed costs agree with each other, and a quick run measures every row."""

import numpy as np
import pytest

from benchmarks.scheduling import packing, packing_peers, solvers
from dnaml.schedule.packing import Demand, Node


def test_costs_computed_by_rows_and_by_columns_agree():
    costs = solvers.DnaCosts(30, 8)
    whole = costs.block(0, 30)
    np.testing.assert_allclose(costs.rows(np.array([3, 7])), whole[[3, 7]], rtol=1e-5)
    np.testing.assert_allclose(costs.columns(np.array([1, 5])), whole.T[[1, 5]], rtol=1e-5)


def test_the_greedy_peer_uses_each_slot_once():
    costs = np.array([[1.0, 2.0], [1.0, 5.0]], dtype=np.float32)
    assert solvers.greedy_total(costs, np.array([1, 1])) == pytest.approx(3.0)


def test_packing_rows_without_data_say_so_and_do_not_pass(tmp_path, monkeypatch):
    monkeypatch.setenv("DNAML_DATA", str(tmp_path))
    rows = packing.packing_rows(quick=True)
    assert [row.id for row in rows] == ["S6"]
    assert not rows[0].passes
    assert "DNAML_DATA" in rows[0].note


@pytest.mark.parametrize("policy", [packing_peers.best_fit, packing_peers.gpu_packing, packing_peers.fgd])
def test_packing_peers_fill_what_there_is_and_no_more(policy):
    nodes = [Node(cpu_milli=20, memory_bytes=20, gpus=2, model="P4"), Node(cpu_milli=20, memory_bytes=20, gpus=4)]
    shares, gangs = Demand(cpu_milli=1, gpus=1, gpu_milli=500), Demand(cpu_milli=1, gpus=2)
    run = packing_peers.fill(policy, nodes, [gangs, shares, shares, gangs, shares, shares, gangs], [shares, gangs])
    assert run.allocated_share == pytest.approx(1.0)
    assert run.dropped == 1


def test_fragments_are_the_gpu_that_typical_demands_cannot_use():
    nodes = [Node(cpu_milli=2, memory_bytes=2, gpus=2)]
    pool = packing_peers.Pool(nodes, [Demand(cpu_milli=1, gpus=1, gpu_milli=600), Demand(cpu_milli=3, gpus=1)])
    assert pool.fragments(np.array([0]), *pool.now(np.array([0]))) == pytest.approx([0.5 * 2000])
    pool.take(0, Demand(cpu_milli=1, gpus=1, gpu_milli=700))
    assert pool.fragments(np.array([0]), *pool.now(np.array([0]))) == pytest.approx([0.5 * 300 + 0.5 * 1300])
