"""A checkpoint of a few hundred bytes with one array and some plain state, to be cut, flipped and half-written."""

import sys
from pathlib import Path

import numpy as np

from dnaml.core.errors import CorruptError, NotFoundError
from dnaml.execution.checkpoints import CheckpointStore, Owner

_OWNER = Owner(job_id="j", computation_id="c", attempt_id="j.1", epoch=1)


def save(folder: Path, value: int) -> str:
    """Seal a checkpoint whose state says `value`; return its id."""
    state = {"step": value, "weights": np.full(3, float(value))}
    return CheckpointStore(folder).save(_OWNER, 0.5, state).checkpoint.id


def value_of(folder: Path, checkpoint_id: str) -> int | None:
    """Return what a checkpoint says, by reading it and by verifying it; None where both refuse it."""
    store = CheckpointStore(folder)
    try:
        store.verify(checkpoint_id)
        verified = True
    except (CorruptError, NotFoundError):
        verified = False
    try:
        _, state = store.load(checkpoint_id, job_id="j", computation_id="c")
    except (CorruptError, NotFoundError):
        return -1 if verified else None
    step = int(state["step"])
    return step if verified and np.array_equal(state["weights"], np.full(3, float(step))) else -1


if __name__ == "__main__":
    save(Path(sys.argv[1]), int(sys.argv[2]))
