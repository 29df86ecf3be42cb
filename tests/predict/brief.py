"""Trainings of few steps, for tests that ask whether answers can be and work together, not how good they are."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from dnaml.predict.paired import gate, latent, replay, stacked


@contextmanager
def brief_trainings() -> Iterator[None]:
    """Start latent models once, train nets for a few steps and replay no more episodes than the gate needs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(latent, "STARTS", 1)
        patch.setattr(stacked, "FEWEST_STEPS", 16)
        patch.setattr(stacked, "MOST_STEPS", 16)
        patch.setattr(replay, "FEWEST_EPISODES", gate.FEWEST_EPISODES)
        yield
