"""Packs computations that share GPUs onto machines: each decision is one look for the least number in one row.

A row holds the scores of one distinct demand on all N nodes; when a node is taken from or given back, only its column
is scored anew. The score is linear: GPU left on the node, scarcity of its model, GPU that would starve of CPU, how
exactly a card fits, and whether a whole card is broken. It decides nothing about runtimes and gangs over several nodes.
"""

from collections import Counter, OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite

import numpy as np
import numpy.typing as npt

from dnaml.core.errors import InputError
from dnaml.core.plan import FloatArray

BoolArray = npt.NDArray[np.bool_]
Float32Array = npt.NDArray[np.float32]
WHOLE = 1000
"""thousandths of one card"""
_NO_CARD = 2 * WHOLE  # stands behind all cards of a node: more than any holds
_FIRST_ROWS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One machine: thousandths of a core, bytes, its cards and their model ("" where there are none)."""

    cpu_milli: int
    memory_bytes: int
    gpus: int = 0
    model: str = ""

    def __post_init__(self) -> None:
        """Raise InputError for a negative amount."""
        for name in ("cpu_milli", "memory_bytes", "gpus"):
            if getattr(self, name) < 0:
                raise InputError(f"node: {name} must not be negative, got {getattr(self, name)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What a computation needs on one node: whole cards, or with `gpus=1` a share of one card (`gpu_milli`).

    `models` names the allowed models of the node; empty allows any.
    """

    cpu_milli: int = 0
    memory_bytes: int = 0
    gpus: int = 0
    gpu_milli: int = WHOLE
    models: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        """Raise InputError for a negative amount, or a share that is not one of a single card."""
        for name in ("cpu_milli", "memory_bytes", "gpus"):
            if getattr(self, name) < 0:
                raise InputError(f"demand: {name} must not be negative, got {getattr(self, name)}")
        if not (self.gpu_milli == WHOLE or (self.gpus == 1 and 0 < self.gpu_milli < WHOLE)):
            raise InputError(f"demand: gpu_milli must be 1 to 1000, less only of one card, got {self.gpu_milli}")

    @property
    def whole_cards(self) -> int:
        """Return how many untouched cards are needed."""
        return self.gpus if self.gpu_milli == WHOLE else 0

    @property
    def share_milli(self) -> int:
        """Return what is needed of one card that others may share, 0 if no share is."""
        return 0 if self.gpu_milli == WHOLE else self.gpu_milli

    @property
    def total_milli(self) -> int:
        """Return the thousandths of a card that are taken in all."""
        return self.gpus * self.gpu_milli


@dataclass(frozen=True, slots=True, kw_only=True)
class PackingWeights:
    """What makes a node the worse choice. Chosen once on arrivals apart from those of the published figures."""

    left: float = 0.873
    """a card left on the node: fuller nodes go first"""
    whole: float = 0.098
    """an untouched card on the node"""
    cpu: float = 0.049
    """a core left on the node"""
    scarce: float = 12.6
    """all demand asking for the node's model by name"""
    starved: float = 17.5
    """a card left without the CPU that computations need beside it"""
    cpu_per_gpu: float = 8.66
    """cores that go with a card before it counts as starved"""
    inexact: float = 2.05
    """a share that leaves a sliver of its card; what leaves more of it is better, an exact fit costs nothing"""
    breaks: float = 1.38
    """a share of a card that was whole"""
    size: float = 0.23
    """a card that the node was built with"""

    def __post_init__(self) -> None:
        """Raise InputError for a weight that is not finite, or if no CPU goes with a card."""
        for name in self.__slots__:
            if not isfinite(getattr(self, name)):
                raise InputError(f"packing weights: {name} must be finite, got {getattr(self, name)}")
        if self.cpu_per_gpu <= 0:
            raise InputError(f"packing weights: cpu_per_gpu must be positive, got {self.cpu_per_gpu}")


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a computation was put: the node's index and its cards' indices."""

    node: int
    cards: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PackingPlan:
    """Where each of several demands goes, by its index, or why it goes nowhere."""

    spots: Mapping[int, Spot]
    unplaced: Mapping[int, str]


def scarcity(demands: Mapping[Demand, float] | Iterable[Demand]) -> dict[str, float]:
    """Return for each model the share of all GPU that is asked for with this model among the allowed ones."""
    counts: Mapping[Demand, float] = demands if isinstance(demands, Mapping) else Counter(demands)
    asked: dict[str, float] = {}
    for demand, count in counts.items():
        for model in sorted(demand.models):
            asked[model] = asked.get(model, 0.0) + count * demand.total_milli
    total = sum(count * demand.total_milli for demand, count in counts.items())
    return {model: amount / total for model, amount in asked.items()} if total else {}


def pack(nodes: Sequence[Node], demands: Sequence[Demand]) -> PackingPlan:
    """Return where demands go that are placed one after the other, on idle nodes; what does not fit is left out."""
    packer = Packer(nodes=nodes, scarce=scarcity(demands))
    spots: dict[int, Spot] = {}
    unplaced: dict[int, str] = {}
    for index, demand in enumerate(demands):
        spot = packer.place(demand)
        if spot is None:
            unplaced[index] = packer.why_not(demand)
        else:
            spots[index] = spot
    return PackingPlan(spots=spots, unplaced=unplaced)


@dataclass(slots=True, eq=False)
class _Side:
    """Nodes, or demands: what each has free, or needs; [N] and [K], or numbers for one of them."""

    cpu: FloatArray
    memory: FloatArray
    whole: FloatArray  # untouched cards
    share: FloatArray  # the most that is free of one card, or the share of one that is needed
    surplus: FloatArray  # weighted GPU beyond what the CPU can feed

    @classmethod
    def empty(cls, count: int) -> "_Side":
        return cls(*(np.zeros(count) for _ in range(5)))

    def __getitem__(self, index: int | slice) -> "_Side":
        return _Side(*(values[index] for values in (self.cpu, self.memory, self.whole, self.share, self.surplus)))

    def put(self, index: int, values: Sequence[float]) -> None:
        self.cpu[index], self.memory[index], self.whole[index], self.share[index], self.surplus[index] = values


class Packer:
    """Places demands one by one on N nodes and takes them back; equal scores go to the first node.

    `scarce` maps models to the share of demand that names them (see `scarcity`). At most `remembered` distinct demands
    have a row; beyond that the least recently used is forgotten. A decision costs one row's minimum and one column.
    """

    def __init__(
        self,
        *,
        nodes: Sequence[Node],
        scarce: Mapping[str, float] | None = None,
        weights: PackingWeights | None = None,
        remembered: int = 1024,
    ) -> None:
        self.nodes = tuple(nodes)
        self._weights = weights or PackingWeights()
        self._remembered = max(1, remembered)
        models = sorted({node.model for node in self.nodes})
        self._models = models
        self._model = np.array([models.index(node.model) for node in self.nodes], dtype=np.int64)  # [N]
        self._fixed = [
            self._weights.size * node.gpus + self._weights.scarce * (scarce or {}).get(node.model, 0.0)
            for node in self.nodes
        ]
        most = max((node.gpus for node in self.nodes), default=0)
        self._cards = np.zeros((len(self.nodes), most))
        for index, node in enumerate(self.nodes):
            self._cards[index, : node.gpus] = WHOLE
        self._free = _Side.empty(len(self.nodes))
        self._base = np.zeros(len(self.nodes))  # [N]
        for index, node in enumerate(self.nodes):
            self._set(index, node.cpu_milli, node.memory_bytes)
        self._slots: OrderedDict[Demand, int] = OrderedDict()
        self._rows = np.zeros((0, len(self.nodes)), dtype=np.float32)  # [K, N]
        self._bans = np.zeros((len(models), 0))  # of models [M, K]: infinite where a demand does not allow one
        self._needs = _Side.empty(0)
        self._grow(min(_FIRST_ROWS, self._remembered))

    def place(self, demand: Demand) -> Spot | None:
        """Take a demand's needs on the best node with room and return where, or None if no node has room now."""
        if not self.nodes:
            return None
        slot = self._slots.get(demand)
        if slot is None:
            slot = self._remember(demand)
        else:
            self._slots.move_to_end(demand)
        row = self._rows[slot]
        node = int(row.argmin())
        if not row.item(node) < np.inf:
            return None
        spot = Spot(node, self._best_cards(node, demand))
        self._move(spot, demand, -1)
        return spot

    def release(self, demand: Demand, spot: Spot) -> None:
        """Give back what a demand took; raises InputError where more would be free than the node has."""
        self._check(demand, spot)
        self._move(spot, demand, 1)

    def free_gpu_milli(self) -> FloatArray:
        """Return what is free of each card [N, G], 0 where a node has fewer cards."""
        return self._cards.copy()

    def free_cpu_milli(self) -> FloatArray:
        """Return the thousandths of a core that are free on each node [N]."""
        return self._free.cpu.copy()

    def free_memory_bytes(self) -> FloatArray:
        """Return the memory that is free on each node [N]."""
        return self._free.memory.copy()

    def why_not(self, demand: Demand) -> str:
        """Return why no node has room for a demand now, or "" if one has."""
        allowed = [i for i, n in enumerate(self.nodes) if not demand.models or n.model in demand.models]
        if not allowed:
            return f"no node has an allowed GPU model ({', '.join(sorted(demand.models)) or 'there are no nodes'})"
        able = [i for i in allowed if _holds(self.nodes[i], demand)]
        if not able:
            return f"none of the {len(allowed)} nodes of an allowed model is large enough even when idle"
        free = self._free
        no_gpu = (free.whole[able] < demand.whole_cards) | (free.share[able] < demand.share_milli)
        no_cpu, no_memory = free.cpu[able] < demand.cpu_milli, free.memory[able] < demand.memory_bytes
        if not (no_gpu | no_cpu | no_memory).all():
            return ""
        return (
            f"the {len(able)} nodes that could hold it are too full: "
            f"{no_gpu.sum()} lack GPU, {no_cpu.sum()} CPU, {no_memory.sum()} memory"
        )

    def _best_cards(self, node: int, demand: Demand) -> tuple[int, ...]:
        """Return the first untouched cards, or the fullest card with room for the share."""
        cards = self._cards[node].tolist()
        if demand.share_milli:
            return (min((free, i) for i, free in enumerate(cards) if free >= demand.share_milli)[1],)
        return tuple([i for i, free in enumerate(cards) if free == WHOLE][: demand.gpus])

    def _check(self, demand: Demand, spot: Spot) -> None:
        if not 0 <= spot.node < len(self.nodes):
            raise InputError(f"spot: node must be below {len(self.nodes)}, got {spot.node}")
        node = self.nodes[spot.node]
        if len(set(spot.cards)) != demand.gpus or not all(0 <= card < node.gpus for card in spot.cards):
            raise InputError(f"spot: must name {demand.gpus} cards of {node.gpus}, got {spot.cards}")
        over = (
            self._free.cpu.item(spot.node) + demand.cpu_milli > node.cpu_milli
            or self._free.memory.item(spot.node) + demand.memory_bytes > node.memory_bytes
            or any(self._cards.item(spot.node, card) + demand.gpu_milli > WHOLE for card in spot.cards)
        )
        if over:
            raise InputError(f"node {spot.node}: a release must not give back more than was taken, got {demand}")

    def _move(self, spot: Spot, demand: Demand, sign: int) -> None:
        node = spot.node
        for card in spot.cards:
            self._cards[node, card] += sign * demand.gpu_milli
        free = self._free
        self._set(
            node, free.cpu.item(node) + sign * demand.cpu_milli, free.memory.item(node) + sign * demand.memory_bytes
        )
        self._rescore(node)

    def _set(self, node: int, cpu_milli: float, memory_bytes: float) -> None:
        """Note what is free on a node, its cards being up to date."""
        cards, weights = self._cards[node].tolist(), self._weights
        left, whole = sum(cards), cards.count(WHOLE)
        surplus = self._surplus(left, cpu_milli)
        self._free.put(node, (cpu_milli, memory_bytes, whole, max(cards, default=0), surplus))
        base = weights.left * left + weights.cpu * cpu_milli
        self._base[node] = self._fixed[node] + base / 1000 + weights.whole * whole

    def _surplus(self, gpu_milli: float, cpu_milli: float) -> float:
        return self._weights.starved / 1000 * (gpu_milli - cpu_milli / self._weights.cpu_per_gpu)

    def _rescore(self, node: int) -> None:
        """Score all remembered demands anew on one node."""
        cards = np.array([*sorted(self._cards[node].tolist()), _NO_CARD])
        level = cards[cards.searchsorted(self._known.share)]
        model = self._model.item(node)
        score = self._score(self._free[node], self._known, level, self._banned[model])
        self._column[:, node] = score + self._base[node]

    def _remember(self, demand: Demand) -> int:
        """Score a new demand on all nodes; its row replaces the one that was not used for longest if all are taken."""
        if len(self._slots) == self._remembered:
            slot = self._slots.popitem(last=False)[1]
        else:
            slot = len(self._slots)
            if slot == len(self._rows):
                self._grow(min(2 * slot, self._remembered))
        self._slots[demand] = slot
        needs = (demand.cpu_milli, demand.memory_bytes, demand.whole_cards, demand.share_milli)
        self._needs.put(slot, (*needs, self._surplus(demand.total_milli, demand.cpu_milli)))
        for index, model in enumerate(self._models):
            self._bans[index, slot] = np.inf if demand.models and model not in demand.models else 0.0
        level = np.where(self._cards >= demand.share_milli, self._cards, _NO_CARD).min(axis=1, initial=_NO_CARD)
        banned = self._bans[self._model, slot]
        self._rows[slot] = self._score(self._free, self._needs[slot], level, banned) + self._base
        self._look(len(self._slots))
        return slot

    def _score(self, free: _Side, need: _Side, level: FloatArray, banned: FloatArray) -> FloatArray:
        """Return scores of nodes [N] for one demand, or of one node for demands [K], without the node's own part.

        `level` is what is free of the fullest card with room for the share.
        """
        rest = level - need.share
        score = rest * (-self._weights.inexact / WHOLE)
        score += self._weights.inexact
        score *= rest != 0
        score += self._weights.breaks * (level == WHOLE)
        score *= need.share != 0
        score += np.maximum(free.surplus - need.surplus, 0.0)
        score += banned
        full = (free.cpu < need.cpu) | (free.memory < need.memory)
        full |= (free.whole < need.whole) | (free.share < need.share)
        score[full] = np.inf
        return score

    def _grow(self, count: int) -> None:
        """Make room for more demands; what is known is kept."""
        rows = np.zeros((count, len(self.nodes)), dtype=np.float32)
        needs, bans = _Side.empty(count), np.zeros((len(self._models), count))
        known = len(self._rows)
        rows[:known], bans[:, :known] = self._rows, self._bans
        for name in _Side.__slots__:
            getattr(needs, name)[:known] = getattr(self._needs, name)
        self._rows, self._needs, self._bans = rows, needs, bans

    def _look(self, count: int) -> None:
        """Keep views of what is known, so that a decision need not make them."""
        self._known, self._column, self._banned = self._needs[:count], self._rows[:count], self._bans[:, :count]


def _holds(node: Node, demand: Demand) -> bool:
    enough = node.cpu_milli >= demand.cpu_milli and node.memory_bytes >= demand.memory_bytes
    return enough and node.gpus >= demand.gpus
