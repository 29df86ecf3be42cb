"""The experts of one direction fitted on some of its entities: which ones a matrix can carry, and their answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dnaml.predict.paired.episodes import Case, fit_nets
from dnaml.predict.paired.ernest import ErnestExpert
from dnaml.predict.paired.grid import Answer, BoolArray, FloatArray, Grid, Member, Task
from dnaml.predict.paired.latent import Latents, fits_of
from dnaml.predict.paired.rows import RowExpert
from dnaml.predict.paired.signature import Signatures
from dnaml.predict.paired.similarity import SimilarityExpert
from dnaml.predict.paired.sources import Sources

# Latent models by name: rank as a share of the smaller side, and the largest rank.
LATENTS: Mapping[str, tuple[float, int]] = {"latent-low": (1 / 8, 8), "latent": (1 / 4, 16), "latent-high": (1 / 2, 32)}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fitted:
    """The sources and the experts fitted on the same entities."""

    sources: Sources
    members: Mapping[str, Member]

    @classmethod
    def of(cls, grid: Grid, use: BoolArray, *, seed: int = 0) -> "Fitted":
        """Fit every expert that the entities marked in `use` [E] can carry."""
        return cls.each([(grid, use)], seed=seed)[0]

    @classmethod
    def each(cls, folds: Sequence[tuple[Grid, BoolArray]], *, seed: int = 0) -> list["Fitted"]:
        """Fit the experts of several folds of one grid: the nets of all at once, which costs little more than one."""
        cases = [Case(grid=grid, use=use, sources=Sources.of(grid, use, seed=seed)) for grid, use in folds]
        nets = fit_nets(cases, seed=seed)
        found = []
        for case, net in zip(cases, nets, strict=True):
            members = {**_closed(case, seed), "net": net}
            given = {name: member for name, member in members.items() if member is not None}
            found.append(cls(sources=case.sources, members=given))
        return found

    def answers(self, task: Task, sources: Sources | None = None) -> dict[str, Answer]:
        """Return what each expert says, without those that cannot say anything."""
        said = {name: member.answer(task, sources or self.sources) for name, member in self.members.items()}
        return {name: answer for name, answer in said.items() if answer is not None}


def _closed(case: Case, seed: int) -> dict[str, Member | None]:
    """Return the experts that have a closed form, None where the entities cannot carry one."""
    grid, use, sources = case.grid, case.use, case.sources
    smaller = min(int(use.sum()), int(grid.known[use].any(axis=0).sum()))
    fits = fits_of(grid, use)
    found: dict[str, Member | None] = {}
    for name, (share, most) in LATENTS.items():
        rank = min(max(1, int(share * smaller)), most)
        found[name] = Latents.fit(grid, use, rank, fits, seed=seed)
    found["rows"] = RowExpert().prepare(sources)
    found["similarity"] = SimilarityExpert().prepare(sources)
    found["signature"] = Signatures.fit(grid, use, sources, seed=seed)
    found["ernest"] = ErnestExpert().fit(grid, use, sources)
    return found


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
