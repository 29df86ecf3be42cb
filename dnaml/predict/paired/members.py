"""The experts of one direction fitted on some of its entities: which ones a matrix can carry, and their answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dnaml.predict.paired.grid import Answer, BoolArray, FloatArray, Grid, Member, Task
from dnaml.predict.paired.latent import Latents
from dnaml.predict.paired.sources import Sources

LATENT_RANKS = (1, 4, 16, 32)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fitted:
    """The sources and the experts fitted on the same entities."""

    sources: Sources
    members: Mapping[str, Member]

    @classmethod
    def of(cls, grid: Grid, use: BoolArray, *, seed: int = 0) -> "Fitted":
        """Fit every expert that the entities marked in `use` [E] can carry."""
        sources = Sources.of(grid, use, seed=seed)
        found: dict[str, Member | None] = {}
        for rank in LATENT_RANKS:
            found[f"latent-{rank}"] = Latents.fit(grid, use, rank, seed=seed)
        return cls(sources=sources, members={name: member for name, member in found.items() if member is not None})

    def answers(self, task: Task, sources: Sources | None = None) -> dict[str, Answer]:
        """Return what each expert says, without those that cannot say anything."""
        said = {name: member.answer(task, sources or self.sources) for name, member in self.members.items()}
        return {name: answer for name, answer in said.items() if answer is not None}


def arrays_of(
    said: Mapping[str, Answer], names: Sequence[str], asked: int
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return means and sds [Q, J] and own errors [J] of what experts said, NaN where one said nothing."""
    means, sds = (np.full((asked, len(names)), np.nan) for _ in range(2))
    own = np.full(len(names), np.nan)
    for place, name in enumerate(names):
        if name in said and np.isfinite(said[name].mean).all():
            means[:, place], sds[:, place], own[place] = said[name].mean, said[name].sd, said[name].own_error
    return means, sds, own
