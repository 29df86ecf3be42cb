"""A wall clock that jumps, for the processes started under it: a small library, compiled here, shifts that clock alone.

Monotonic clocks, timers and naps go on as they are, as they do where somebody sets a machine's time.
"""

import shutil
import struct
import subprocess
import sys
from pathlib import Path

NO_COMPILER = "" if shutil.which("gcc") and sys.platform == "linux" else "gcc on Linux is needed to shift the clock"
_SOURCE = Path(__file__).with_suffix(".c")


class WallClock:
    """One shift of the wall clock; `variables` put a process and all it starts under it."""

    def __init__(self, folder: Path, name: str = "clock") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        library, self._file = folder / "wall_clock.so", folder / f"{name}.shift"
        if not library.exists():
            command = ["gcc", "-shared", "-fPIC", "-O1", "-o", str(library), str(_SOURCE), "-ldl"]
            subprocess.run(command, check=True, capture_output=True, timeout=60)
        self._file.write_bytes(struct.pack("q", 0))
        self.variables = {"LD_PRELOAD": str(library), "WALL_CLOCK_SHIFT": str(self._file)}

    def shift(self, seconds: int) -> None:
        """Let the clock show so many seconds more than it would; the file is changed in place, at once for everyone."""
        with self._file.open("r+b") as file:
            file.write(struct.pack("q", seconds))
