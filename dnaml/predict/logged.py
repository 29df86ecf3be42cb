"""What is kept of a training beside its model: data card, scores and pictures, in one MLflow run."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from dnaml import tracking
from dnaml.datasets.data_card import DataCard
from dnaml.predict import pictures
from dnaml.predict.evaluation import Answers, Score
from dnaml.predict.model_card import metrics_of
from dnaml.predict.recipe import OWN
from dnaml.predict.runtime import RuntimePredictor

FEWEST_ON_MAP = 3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trained:
    """A fitted model in its folder, what it learned from, and how it and the simple predictors answered."""

    model: RuntimePredictor
    folder: Path
    data: DataCard
    answers: Sequence[Answers]
    scores: Sequence[Score]
    resource_ids: Sequence[str]


def log(
    trained: Trained,
    *,
    name: str,
    alias: str | None = None,
    params: Mapping[str, object],
    tags: Mapping[str, str] | None = None,
    store: tracking.Store | None = None,
) -> tracking.Registered:
    """Log a training with all its documents and register its model folder as the newest version of a name."""
    with TemporaryDirectory() as folder:
        training = tracking.Training(
            name=name,
            folder=trained.folder,
            params={**params, **{f"data.{key}": value for key, value in trained.data.flat().items()}},
            metrics=metrics_of(trained.scores),
            tags=tags or {},
            files=documents(trained, Path(folder)),
            alias=alias,
        )
        return tracking.log_training(training, store=store)


def documents(trained: Trained, folder: Path) -> dict[str, Path]:
    """Write data card, scores and pictures into a folder and return the files by name.

    The map of the DNA is drawn where the predictor offers `resource_dna` and three resources are known.
    """
    folder.mkdir(parents=True, exist_ok=True)
    texts = {"data_card.json": asdict(trained.data), "scores.json": [asdict(one) for one in trained.scores]}
    files = {name: folder / name for name in texts}
    for name, value in texts.items():
        files[name].write_text(json.dumps(value, indent=1) + "\n")
    own = series(trained.answers)
    drawn = {"calibration.svg": pictures.calibration(own), "scatter.svg": pictures.scatter(own)} if own else {}
    dna = getattr(trained.model, "resource_dna", None)
    names = getattr(trained.model, "resources", None) or trained.resource_ids
    if dna is not None and len(names) >= FEWEST_ON_MAP:
        drawn["dna_map.svg"] = pictures.dna_map({name: dna(name).vector for name in names})
    for name, figure in drawn.items():
        files[name] = folder / name
        figure.savefig(files[name])
    return files


def series(made: Sequence[Answers]) -> dict[str, list[Answers]]:
    """Return the predictor's own answers by what was held back, with no probe given."""
    by: dict[str, list[Answers]] = {}
    for one in made:
        if one.estimator == OWN and one.probes == 0:
            by.setdefault(f"new {one.held.value}" if one.held else "as given", []).append(one)
    return by
