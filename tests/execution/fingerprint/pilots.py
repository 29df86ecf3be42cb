"""Functions for pilots to run: kind and unkind ones."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any


def doubles(n: int) -> int:
    """Spin in plain Python."""
    return sum(2 * i for i in range(n))


def sleeps(seconds: float) -> None:
    time.sleep(seconds)


def multiplies(n: int, rounds: int = 3) -> None:
    import numpy as np

    a = np.random.default_rng(0).random((n, n))
    for _ in range(rounds):
        a @ a


def gathers(items: int, rounds: int) -> None:
    import numpy as np

    table = np.arange(items, dtype=np.int64)
    places = np.random.default_rng(0).integers(0, items, 1_000_000)
    for _ in range(rounds):
        table.take(places)


def learns(n: int, rounds: int) -> None:
    import torch

    a = torch.rand(n, n, dtype=torch.bfloat16)
    for _ in range(rounds):
        a @ a


def writes(megabytes: int) -> int:
    Path("out").write_bytes(bytes(megabytes * 1_000_000))
    return len(Path("out").read_bytes())


def saves(steps: int, *, context: Any = None) -> int:
    start = context.restore(default=0)
    for step in range(start, steps):
        context.save((step + 1) / steps, bytes(10_000))
    return steps


def raises() -> None:
    raise ValueError("no\n good")


def exits() -> None:
    sys.exit(3)


def exits_hard() -> None:
    os._exit(4)


def crashes() -> None:
    import ctypes

    ctypes.string_at(0)


def hangs() -> None:
    while True:
        pass


def takes(size_bytes: int) -> None:
    held = bytearray(size_bytes)
    for at in range(0, size_bytes, 4096):
        held[at] = 1
    time.sleep(30)


def leaves_a_child(note: str) -> None:
    """Start a process in a session of its own, write down its id, and forget it."""
    command = [sys.executable, "-c", "import time; time.sleep(600)"]
    child = subprocess.Popen(command, start_new_session=True)
    with open(note, "a") as file:
        file.write(f"{child.pid}\n")


def notes_its_folders(note: str) -> None:
    Path("left.txt").write_text("here")
    Path(note).write_text(
        f"{os.getcwd()}\n{os.environ['TMPDIR']}\n{len(os.listdir('.'))}\n{os.getsid(0)}\n{os.getpid()}"
    )


class CannotLoad:
    """Travels, but breaks on arrival."""

    def __reduce__(self) -> Any:
        return (exec, ("raise RuntimeError('on arrival')",))

    def __call__(self) -> None: ...
