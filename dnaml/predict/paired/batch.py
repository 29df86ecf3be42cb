"""Nets of several fits side by side: the whole grid and its folds are learned in one stack of tensors.

A fold lacks some entities and items of the whole; its arrays are padded to the whole's and the padding is marked as
never measured, so that one step of a hundred small operations teaches every net of every fit.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dnaml.predict.paired.grid import BoolArray, FloatArray, Grid, IntArray
from dnaml.predict.paired.stacked import NetSettings, Stack


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Batch:
    """S stacks over the items of the widest. Shapes: y, known [S, E, I]; pool [S, E] marks the entities to learn from;
    seen, shift [S, I]; scores, scores_unseen [S, I, P]; speed_sd [S]; places of each stack's items; can_hide [S].

    `shift` is how much higher an item's effect is than what is guessed for one never seen, in the stack's scale.
    """

    stacks: tuple[Stack, ...]
    places: tuple[IntArray, ...]
    settings: NetSettings
    item_x: FloatArray
    entity_x: FloatArray
    telemetry: FloatArray
    y: FloatArray
    known: BoolArray
    pool: BoolArray
    seen: BoolArray
    shift: FloatArray
    scores: FloatArray
    scores_unseen: FloatArray
    speed_sd: FloatArray
    can_hide: BoolArray

    @classmethod
    def of(cls, stacks: Sequence[Stack], grids: Sequence[Grid], whole: Grid) -> "Batch":
        """Return the stacks of some grids side by side; all have the same settings, and `whole` holds every item."""
        index = whole.items.index
        places = tuple(np.array([index[name] for name in grid.items.index], dtype=np.int64) for grid in grids)
        items = len(index)
        return cls(
            stacks=tuple(stacks),
            places=places,
            settings=stacks[0].settings,
            item_x=whole.items.x,
            entity_x=whole.entities.x,
            telemetry=np.nan_to_num(whole.telemetry),
            y=_padded([s.y for s in stacks], places, items, 1),
            known=_padded([s.known for s in stacks], places, items, 1),
            pool=np.stack([np.isin(np.arange(len(s.entity_x)), s.entities) for s in stacks]),
            seen=_padded([s.seen for s in stacks], places, items, 0),
            shift=_padded([(s.effect - s.effect_unseen) / s.scale for s in stacks], places, items, 0),
            scores=_padded([s.scores for s in stacks], places, items, 0),
            scores_unseen=_padded([s.scores_unseen for s in stacks], places, items, 0),
            speed_sd=np.array([s.speed_sd for s in stacks]),
            can_hide=np.array([s.can_hide for s in stacks]),
        )

    @property
    def nets(self) -> int:
        """Return how many nets are trained: as many for each stack."""
        return len(self.stacks) * self.settings.nets

    @property
    def owner(self) -> IntArray:
        """Return the stack [M] that each net belongs to."""
        return np.repeat(np.arange(len(self.stacks)), self.settings.nets)

    @property
    def most_probes(self) -> int:
        """Return the largest number of probes of an episode: about half of what an entity ran."""
        usual = min(float(np.median(s.known[s.entities].sum(axis=1))) for s in self.stacks)
        return int(max(1, min(self.settings.most_probes, 0.55 * usual)))


def _padded(arrays: Sequence[np.ndarray], places: Sequence[IntArray], items: int, axis: int):  # type: ignore
    """Return arrays side by side, the axis of items filled up with zeros."""
    found = []
    for array, place in zip(arrays, places, strict=True):
        shape = list(array.shape)
        shape[axis] = items
        wide = np.zeros(shape, dtype=array.dtype)
        wide[(slice(None),) * axis + (place,)] = array
        found.append(wide)
    return np.stack(found)
