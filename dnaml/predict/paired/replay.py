"""Service replayed on the training runs: known entities are held out in groups and asked for with a few probes.

Each fold hides a group of entities and a share of the items as well, so that an episode can ask about items seen in
training or never seen. Weights of experts and widths of intervals come from these episodes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from dnaml.predict.paired.grid import BoolArray, FloatArray, Grid, IntArray, Task
from dnaml.predict.paired.members import Fitted, arrays_of
from dnaml.predict.paired.prior import groups_of

PROBES: tuple[int, ...] = (0, 1, 2, 3, 5, 10, 20, 50, 100)
FOLDS = 3
FEWEST_ENTITIES, FEWEST_ITEMS = 3, 8  # to hide some of them
HIDDEN_ITEM_SHARE = 0.25
FEWEST_CELLS = 3  # of an entity that is replayed
MOST_ENTITIES, FEWEST_EPISODES = 44, 30  # entities replayed; few entities are replayed again with other probes
MOST_ASKED = 60
RARE_FROM, RARE_EVERY = 50, 3  # many probes are replayed on every third entity
MOST_PROBED_SHARE = 0.6


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fold:
    """What one fit does not see. Shapes: entities [E] marks those it learns from, place [I] of items, -1 if hidden."""

    grid: Grid
    entities: BoolArray
    place: IntArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Episode:
    """One entity asked for. Shapes: truth [Q]; means, sds [Q, J], NaN where an expert said nothing; own_errors [J]."""

    task: Task
    truth: FloatArray
    means: FloatArray
    sds: FloatArray
    own_errors: FloatArray
    entity: int
    fold: int
    unseen: bool
    novelty: float = 0.0


def folds_of(grid: Grid, *, seed: int = 0) -> list[Fold]:
    """Return the folds; none when there are too few entities to hide any."""
    members = len(grid.entities)
    if members < FEWEST_ENTITIES:
        return []
    label = grid.group
    if len(np.unique(label)) in (1, members):  # no groups, or one that would leave nothing to learn from
        label = np.zeros(members, dtype=np.int64)
        for number, group in enumerate(groups_of(grid.entities.x)):
            label[group] = number
    groups = int(label.max()) + 1
    count = min(FOLDS, groups) if members > 2 * FOLDS else groups
    rng = np.random.default_rng(seed)
    fold = (rng.permutation(groups) % count)[label]
    items = len(grid.items)
    hidden = np.zeros(items, dtype=np.int64)
    if grid.items.x.shape[1] and items >= FEWEST_ITEMS:
        hidden = rng.permutation(items) % round(1 / HIDDEN_ITEM_SHARE) + 1
    found = []
    for number in range(count):
        kept = np.flatnonzero(hidden != number % round(1 / HIDDEN_ITEM_SHARE) + 1)
        place = np.full(items, -1, dtype=np.int64)
        place[kept] = np.arange(len(kept))
        found.append(Fold(grid=grid.with_items(kept), entities=fold != number, place=place))
    return found


def replay(
    grid: Grid, folds: Sequence[Fold], fits: Sequence[Fitted], names: Sequence[str], *, seed: int = 0
) -> list[Episode]:
    """Return the episodes of held-out entities; `fits` holds the experts fitted on each fold."""
    found: list[Episode] = []
    for number, (fold, fitted) in enumerate(zip(folds, fits, strict=True)):
        held = np.flatnonzero(~fold.entities)
        rng = np.random.default_rng([seed, number])
        for entity in _entities(held, len(grid.entities), rng):
            for probes, seen, hidden in _drawn(grid, fold, entity, rng):
                found += _episodes(grid, fold, fitted, names, entity, (probes, seen, hidden), number)
    return found


def _episodes(
    grid: Grid,
    fold: Fold,
    fitted: Fitted,
    names: Sequence[str],
    entity: int,
    drawn: tuple[IntArray, IntArray, IntArray],
    number: int,
) -> Iterator[Episode]:
    """Yield the episodes of one entity with the same probes: experts answer once for items seen and never seen."""
    probes, seen, hidden = drawn
    every = task_of(grid, fold.place, entity, probes, np.concatenate([seen, hidden]))
    means, sds, own = arrays_of(fitted.answers(every), names, every.asked)
    novelty = fitted.sources.novelty(every.entity_x)
    for asked, rows in ((seen, slice(0, len(seen))), (hidden, slice(len(seen), None))):
        if len(asked):
            yield Episode(
                task=task_of(grid, fold.place, entity, probes, asked),
                truth=grid.y[entity, asked],
                means=means[rows],
                sds=sds[rows],
                own_errors=own,
                entity=entity,
                fold=number,
                unseen=asked is hidden,
                novelty=novelty,
            )


def task_of(grid: Grid, place: IntArray, entity: int, probes: IntArray, asked: IntArray) -> Task:
    """Return the task of one known entity; `place` [I] says where the fit knows each item, -1 for never seen."""
    items = np.concatenate([probes, asked])
    telemetry = grid.telemetry[entity, probes].mean(axis=0) if len(probes) else np.zeros(grid.telemetry.shape[2])
    return Task(
        y=grid.y[entity, probes],
        item=place[items],
        item_x=grid.items.x[items],
        scale_out=grid.scale_out[items],
        entity_x=grid.entities.x[entity],
        telemetry=telemetry,
    )


def _entities(held: IntArray, members: int, rng: np.random.Generator) -> list[int]:
    """Return the entities of one fold to replay: some of many, few of them more than once."""
    most = max(1, round(MOST_ENTITIES * len(held) / members))
    times = 1 if members >= FEWEST_EPISODES else -(-FEWEST_EPISODES // members)
    drawn: list[int] = np.tile(rng.permutation(held), times)[:most].tolist()
    return drawn


def _drawn(
    grid: Grid, fold: Fold, entity: int, rng: np.random.Generator
) -> Iterator[tuple[IntArray, IntArray, IntArray]]:
    """Yield (items probed, items asked about that were seen, those never seen) for each number of probes.

    Where not every item tells a scale-out, items seen and never seen come apart: a curve answers all items or none.
    """
    cells = np.flatnonzero(grid.known[entity])
    seen, hidden = cells[fold.place[cells] >= 0], cells[fold.place[cells] < 0]
    if len(cells) < FEWEST_CELLS:
        return
    none, whole = cells[:0], len(np.unique(np.isfinite(grid.scale_out[cells]))) == 1
    for count in PROBES:
        if count > MOST_PROBED_SHARE * len(cells) or (count >= RARE_FROM and rng.random() * RARE_EVERY > 1):
            continue
        drawn = rng.permutation(seen)
        known = drawn[count : count + MOST_ASKED]
        new = rng.permutation(hidden)[:MOST_ASKED] if len(hidden) and len(drawn) >= count else none
        if whole:
            if len(known) or len(new):
                yield drawn[:count], known, new
            continue
        for pair in ((known, none), (none, new)):
            if len(pair[0]) or len(pair[1]):
                yield drawn[:count], *pair
