"""Trainings in a process of their own, one at a time; the command is a fixed list of words, no shell."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dnaml.rest.problems import one_line

_NICE = ("nice", "-n", "10")


class Trainings:
    """Starts trainings and remembers the last."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self._lock = threading.Lock()
        self._last: dict[str, Any] | None = None
        self._process: subprocess.Popen[str] | None = None
        self._watching: threading.Thread | None = None

    def last(self) -> dict[str, Any] | None:  # JSON values
        """Return how the last training stands, None where there was none."""
        return self._last

    def start(self, table: Path | None, *, name: str, seed: int) -> dict[str, Any] | None:  # JSON values
        """Start a training and return how it stands; None while another runs."""
        source = ["--from-state"] if table is None else [str(table)]
        words = [sys.executable, "-m", "dnaml", "train", *source, "--name", name, "--seed", str(seed), "--folds", "0"]
        with self._lock:
            if self._process is not None and self._process.poll() is None:
                return None
            self._process = self._open([*_NICE, *words, "--json", "--quiet", "--state", str(self._state)])
            self._last = {"state": "running", "name": name, "started_at_s": time.time(), "detail": ""}
            self._watching = threading.Thread(target=self._watch, args=(self._process, self._last), daemon=True)
            self._watching.start()
            return dict(self._last)

    def wait(self, timeout_s: float) -> bool:
        """Wait until the last training has ended; False when time ran out."""
        if self._watching is not None:
            self._watching.join(timeout_s)
        return self._watching is None or not self._watching.is_alive()

    def close(self) -> None:
        """End a training that still runs."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()

    @staticmethod
    def _open(words: Sequence[str]) -> "subprocess.Popen[str]":
        pipe = subprocess.PIPE
        return subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True)

    @staticmethod
    def _watch(process: "subprocess.Popen[str]", told: dict[str, Any]) -> None:
        out, error = process.communicate()
        if process.returncode == 0:
            told["detail"], told["state"] = str(json.loads(out).get("address") or ""), "done"
        else:
            told["detail"], told["state"] = one_line(error)[-500:], "failed"
