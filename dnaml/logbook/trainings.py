"""Models that are fitted while tracking is on, as MLflow runs: data card, time, and the model's folder to load again.

They are not registered: what `models:/dnaml/latest` means is decided by `dnaml train` alone.
"""

import json
import logging
import time
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from dnaml import tracking
from dnaml.core.errors import DnamlError
from dnaml.datasets.data_card import card_of
from dnaml.datasets.state import default_folder
from dnaml.predict.fitted import Hears

if TYPE_CHECKING:
    from dnaml.datasets.table import RunTable
    from dnaml.predict.runtime import RuntimePredictor

MODEL = "model"  # the folder among the run's artifacts
_log = logging.getLogger(__name__)


def kept_in(uri: str | None) -> Hears:
    """Return what writes each fit into a store; a store that refuses costs a line in the log, never the fit."""

    def hears(model: "RuntimePredictor", runs: "RunTable", took_s: float) -> None:
        store = tracking.store_of(default_folder()) if uri is None else tracking.store_at(uri)
        try:
            with TemporaryDirectory() as folder:
                page = _page(model, runs, took_s, Path(folder))
                tracking.write_pages([page], store=store)
        except (DnamlError, OSError) as error:
            _log.warning("a training was not tracked: %s", error)

    return hears


def _page(model: "RuntimePredictor", runs: "RunTable", took_s: float, folder: Path) -> tracking.Page:
    card = card_of(runs)
    (folder / "data_card.json").write_text(json.dumps(asdict(card), indent=1) + "\n")
    model.save(folder / MODEL)
    files = [path for path in folder.rglob("*") if path.is_file()]
    return tracking.Page(
        name="training",
        tags={"dnaml.kind": "training"},
        params={"seed": model.seed, **{f"data.{name}": value for name, value in card.flat().items()}},
        metrics=[("fit_s", took_s, int(time.time() * 1000), 0)],
        files={str(path.relative_to(folder)): path for path in files},
        parent=tracking.active_run(),
    )
