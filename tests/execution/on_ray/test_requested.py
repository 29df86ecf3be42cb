"""Nodes that Ray's autoscaler is asked for: what is requested stands until it is given back, and each counts once."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

from dnaml.core.resource import Kind, Resource
from dnaml.execution.on_ray import Requested, gateway
from dnaml.execution.providers.nodes import NodeProvider
from dnaml.execution.providers.provider import Order, ProviderError

CORES = Resource(id="cores", slots=4)


class Autoscaled:
    """Stands for a cluster with an autoscaler: a small one that adds the nodes it is told to, at each request."""

    def __init__(self, *joins: str) -> None:
        self.nodes = gateway.Nodes({"ray-head": "head"}, {}, {})
        self.asked: list[list[dict[str, float]]] = []
        self._joins = list(joins)

    def request(self, bundles: list[dict[str, float]]) -> None:
        self.asked.append(bundles)
        if self._joins:
            name = self._joins.pop(0)
            self.nodes = gateway.Nodes({**self.nodes.alive, f"ray-{name}": name}, {}, {})


def requested(cluster: Any, within_s: float = 30.0) -> Requested:
    nodes = Requested(within_s=within_s)
    nodes.cluster = cluster
    return nodes


def test_a_node_that_joins_after_the_request_is_the_one_that_was_ordered():
    cluster = Autoscaled("n0", "n1")
    nodes = requested(cluster)
    assert [nodes.add(CORES, "a"), nodes.add(CORES, "b")] == ["n0", "n1"]
    assert nodes.add(CORES, "a") == "n0"
    assert cluster.asked[:2] == [[{"CPU": 4.0}], [{"CPU": 4.0}] * 2]
    assert nodes.started() == {"n0": "a", "n1": "b"}
    assert nodes.is_alive("n0")
    nodes.remove("n0")
    assert cluster.asked[-1] == [{"CPU": 4.0}]
    assert nodes.started() == {"n1": "b"}


def test_an_order_that_brings_no_node_in_time_is_taken_back():
    cluster = Autoscaled()
    provider = NodeProvider("ray", requested(cluster, within_s=0.05), {"gpus": Resource(id="gpus", kind=Kind.GPU)})
    with pytest.raises(ProviderError, match=r"no node with \{'GPU': 1.0\} joined within 0.05 s"):
        provider.acquire(Order(token="gpus-0", template="gpus", until_s=0.0))
    assert cluster.asked == [[{"GPU": 1.0}], []]


def test_orders_at_once_get_different_nodes():
    nodes, found = requested(Autoscaled("n0", "n1", "n2")), []
    threads = [threading.Thread(target=_note(found, nodes, token)) for token in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == ["n0", "n1", "n2"]


def _note(found: list[str], nodes: Requested, token: str) -> Callable[[], None]:
    return lambda: found.append(nodes.add(CORES, token))


def test_without_a_cluster_nothing_can_be_asked_for():
    with pytest.raises(RuntimeError, match="no back end has joined"):
        Requested().add(CORES, "a")
