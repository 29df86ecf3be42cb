"""Packing as others do it, restated small, each scanning all nodes for every decision: what the packer stands beside.

Best fit by what is left, GPU packing (a used card, a used node, then a new one), and the steepest descent of
fragmentation (FGD, Weng et al., ATC 2023) over all typical demands with ties to the fullest node.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from dnaml.core.plan import FloatArray, IntArray
from dnaml.schedule.packing import WHOLE, Demand, Node


class Pool:
    """What is free: cpu [N], memory [N], cards [N, G]; and typical demands with their share of the stream."""

    def __init__(self, nodes: Sequence[Node], typical: Iterable[Demand]) -> None:
        most = max(node.gpus for node in nodes)
        self.cards = np.array([[WHOLE] * n.gpus + [0] * (most - n.gpus) for n in nodes], dtype=float)
        self.cpu = np.array([n.cpu_milli for n in nodes], dtype=float)
        self.memory = np.array([n.memory_bytes for n in nodes], dtype=float)
        self.built = self.cards.copy()
        self.most = (self.cpu.max(), self.memory.max(), WHOLE * most)
        self._models = np.array([node.model for node in nodes])
        counts = Counter(typical)
        self._kinds = list(counts)
        self._weight = np.array(list(counts.values()), dtype=float) / max(1, sum(counts.values()))  # [K]
        needs = [(k.cpu_milli, k.memory_bytes, k.whole_cards, k.share_milli) for k in self._kinds]
        self._needs = np.array(needs, dtype=float).reshape(-1, 4).T  # [4, K]
        self._allowed = np.array([self.allowed(kind) for kind in self._kinds], dtype=bool).reshape(-1, len(nodes)).T
        every = np.arange(len(nodes))
        self.fragmented = self.fragments(every, *self.now(every))  # [N]

    def allowed(self, demand: Demand) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Return for each node whether its model is allowed [N]."""
        return np.isin(self._models, sorted(demand.models)) if demand.models else np.ones(len(self.cpu), dtype=bool)

    def now(self, nodes: IntArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return what is free on some nodes: cards, cpu, memory."""
        return self.cards[nodes], self.cpu[nodes], self.memory[nodes]

    def candidates(self, demand: Demand) -> IntArray:
        """Return the nodes with room."""
        room = (self.cpu >= demand.cpu_milli) & (self.memory >= demand.memory_bytes)
        room &= (self.cards.max(axis=1) >= demand.share_milli) & self.allowed(demand)
        return np.flatnonzero(room & ((self.cards == WHOLE).sum(axis=1) >= demand.whole_cards))

    def after(self, nodes: IntArray, demand: Demand, card: int | None) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return what would be free on nodes with room; a share takes `card`, by default the fullest with room."""
        cards, cpu, memory = self.now(nodes)
        if demand.share_milli:
            fullest = np.where(cards >= demand.share_milli, cards, np.inf).argmin(axis=1)
            cards[np.arange(len(nodes)), fullest if card is None else card] -= demand.share_milli
        elif demand.gpus:
            order = np.argsort(cards != WHOLE, axis=1, kind="stable")[:, : demand.gpus]
            np.put_along_axis(cards, order, 0.0, axis=1)
        return cards, cpu - demand.cpu_milli, memory - demand.memory_bytes

    def take(self, node: int, demand: Demand, card: int | None = None) -> None:
        """Take what a demand needs on a node."""
        one = np.array([node])
        self.cards[one], self.cpu[one], self.memory[one] = self.after(one, demand, card)

    def fragments(self, nodes: IntArray, cards: FloatArray, cpu: FloatArray, memory: FloatArray) -> FloatArray:
        """Return the GPU on each node that a typical demand cannot use, in the mean over demands."""
        need_cpu, need_memory, whole, share = self._needs
        left = cards.sum(axis=1)[:, None]
        can = (cpu[:, None] >= need_cpu) & (memory[:, None] >= need_memory) & self._allowed[nodes]
        can &= ((cards == WHOLE).sum(axis=1)[:, None] >= whole) & (cards.max(axis=1)[:, None] >= share)
        least = np.where(share > 0, share, np.where(whole > 0, WHOLE, np.inf))  # per card; no card serves a CPU demand
        small = np.empty(can.shape)
        for level in np.unique(least):
            small[:, least == level] = np.where(cards < level, cards, 0.0).sum(axis=1)[:, None]
        return np.where(can, small, left) @ self._weight


Choice = tuple[int, int | None]
Policy = Callable[[Pool, Demand, IntArray], Choice]


def best_fit(pool: Pool, demand: Demand, nodes: IntArray) -> Choice:
    """Choose the node with the least left of CPU, memory and GPU together."""
    cpu, memory, gpu = pool.most
    left = pool.cpu[nodes] / cpu + pool.memory[nodes] / memory + pool.cards[nodes].sum(axis=1) / gpu
    return int(nodes[left.argmin()]), None


def gpu_packing(pool: Pool, demand: Demand, nodes: IntArray) -> Choice:
    """Choose a card in use, else a node in use, else a new node; the fullest of each."""
    cards = pool.cards[nodes]
    used = (cards < pool.built[nodes]).any(axis=1)
    share = demand.share_milli
    shared = ((cards > 0) & (cards < WHOLE) & (cards >= share)).any(axis=1) & (share > 0)
    return int(nodes[np.lexsort((cards.sum(axis=1), ~used, ~shared))[0]]), None


def fgd(pool: Pool, demand: Demand, nodes: IntArray) -> Choice:
    """Choose the node and card where fragmentation rises least, the fullest node of equal ones."""
    best: tuple[tuple[float, float], Choice] | None = None
    for card in range(pool.cards.shape[1]) if demand.share_milli else (None,):
        able = nodes if card is None else nodes[pool.cards[nodes, card] >= demand.share_milli]
        if not len(able):
            continue
        rise = np.round(pool.fragments(able, *pool.after(able, demand, card)) - pool.fragmented[able], 3)
        left = pool.cards[able].sum(axis=1)
        first = int(np.lexsort((left, rise))[0])
        key = (float(rise[first]), float(left[first]))
        if best is None or key < best[0]:
            best = key, (int(able[first]), card)
    assert best is not None, "a node with room has a card with room"
    return best[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """How one stream of demands was packed."""

    allocated_share: float
    dropped: int
    decision_ms: float


def fill(policy: Policy, nodes: Sequence[Node], stream: Sequence[Demand], typical: Iterable[Demand]) -> Run:
    """Return how a policy packs a stream without departures; processor time, preparation apart."""
    pool = Pool(nodes, typical)
    dropped = 0
    began_s = time.process_time()
    for demand in stream:
        able = pool.candidates(demand)
        if not len(able):
            dropped += 1
            continue
        node, card = policy(pool, demand, able)
        pool.take(node, demand, card)
        if policy is fgd:
            one = np.array([node])
            pool.fragmented[one] = pool.fragments(one, *pool.now(one))
    spent_ms = 1000 * (time.process_time() - began_s) / len(stream)
    taken = float((pool.built - pool.cards).sum() / pool.built.sum())
    return Run(allocated_share=taken, dropped=dropped, decision_ms=spent_ms)
