"""What the service that is measured may run for its clients."""

import time
from pathlib import Path


def double(x: int) -> int:
    """Return twice a number."""
    return 2 * x


def wait_for(path: str) -> str:
    """Wait until a file is there."""
    while not Path(path).exists():
        time.sleep(0.01)
    return "there"
