"""Work that saves what it did, for faults that strike while a checkpoint is written."""

import time

import dnaml


def steps(number: int, context: dnaml.Context) -> int:
    """Count to eight, saving after each step, and return the argument."""
    done = context.restore(0)
    for step in range(int(done), 8):
        time.sleep(0.02)
        context.save((step + 1) / 8, step + 1, force=True)
    return number
