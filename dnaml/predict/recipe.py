"""How a run table becomes a model: columns left out, copies of resources, a seed; and who is judged beside it."""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatch

from dnaml.core.errors import InputError
from dnaml.datasets.rescaled import rescaled
from dnaml.datasets.table import RunTable
from dnaml.predict.evaluation import Fit, Score, answered, score
from dnaml.predict.runtime import RuntimePredictor
from dnaml.predict.simple import Simple, SimplePredictor

OWN = "dnaml"
"""name of the predictor beside the simple ones"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What is done to a table before a fit: `drop` are patterns of columns, the rest is as in `rescaled`."""

    seed: int = 0
    drop: tuple[str, ...] = ()
    copies: int = 0
    reach: float = 4.0
    originals: bool = True

    def prepared(self, table: RunTable) -> RunTable:
        """Return the table to learn from."""
        left = [name for name in table.frame.columns if any(fnmatch(str(name), one) for one in self.drop)]
        kept = RunTable(frame=table.frame.drop(columns=left), set_aside=table.set_aside)
        return rescaled(kept, self.copies, reach=self.reach, originals=self.originals, seed=self.seed)

    def fit(self, table: RunTable) -> RuntimePredictor:
        """Return a predictor that learned from the prepared table."""
        return RuntimePredictor(seed=self.seed).fit(self.prepared(table))


def contenders(recipe: Recipe, *, simple: Sequence[Simple] = tuple(Simple)) -> dict[str, Fit]:
    """Return how to fit the predictor of a recipe and the simple ones beside it, by name."""
    found: dict[str, Fit] = {OWN: recipe.fit}
    for way in simple:
        found[way.value] = SimplePredictor(way, seed=recipe.seed).fit
    return found


def asked_of(model: RuntimePredictor, table: RunTable) -> list[Score]:
    """Return how a model answers every run of a table, by the path that answered (what it knew of the pair)."""
    told = table.rows(~(table.frame["failed"] | table.frame["censored"]).to_numpy(dtype=bool))
    if len(told) == 0:
        raise InputError("run table: no run tells a runtime")
    paths = model.predict(told.frame)["path"].astype(str).to_numpy(dtype=str)
    return [score([answered(model, told.rows(paths == path))], held=path) for path in sorted(set(paths.tolist()))]
