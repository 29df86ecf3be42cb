"""Who hears of every model that is fitted in this process: nobody, until tracking is switched on."""

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dnaml.datasets.table import RunTable
    from dnaml.predict.runtime import RuntimePredictor

Hears = Callable[["RuntimePredictor", "RunTable", float], None]
"""the fitted predictor, what it learned from, the seconds that took"""

LISTENERS: list[Hears] = []


def tell(model: "RuntimePredictor", runs: "RunTable", took_s: float) -> None:
    """Tell everybody who listens."""
    for hears in tuple(LISTENERS):
        hears(model, runs, took_s)
