"""The predictor that knows what a state folder knows."""

from pathlib import Path

from dnaml.core.protocols import Predictor


def predictor_of(state: Path) -> Predictor:
    """Return the predictor that knows every run of a state folder."""
    from dnaml.history import History
    from dnaml.predict.placing import LivePredictor

    if not (state / "journal.sqlite").exists():
        return LivePredictor()
    return LivePredictor().updated(History.read(state).runs())
