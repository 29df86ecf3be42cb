"""Counts the memory pages that a running process touches: its working set, and whether it jumps about in it.

The kernel marks a page as referenced on its first access after `clear_refs`. In a window of half a millisecond a
stream through memory touches as many pages as its bandwidth fills; reads at random places touch many times more.
The process is stopped while the marks are cleared and counted. Linux only; elsewhere nothing is told.
"""

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

WINDOW_S = 0.0005
_LOOK_EVERY_S = 0.1
_SETTLE_S = 0.02  # longest wait for a stop signal to reach every thread
_LARGEST_BYTES = 4 << 30  # clearing the marks of a larger process takes too long
_FEWEST_PAGES = 150  # what an idle interpreter touches
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class PageWatch:
    """Watches one process; `rates` holds touched pages per second of processor time, one item a window.

    `most_pages` is the most that `look` found touched since the last `clear`.
    """

    def __init__(self, pid: int) -> None:
        self.rates: list[float] = []
        self.frozen_s = 0.0
        self.most_pages: int | None = None
        self._looked_s = time.monotonic()
        self._pid = pid
        self._folder = Path(f"/proc/{pid}")

    def clear(self) -> bool:
        """Forget which pages were touched; False where the system does not keep count or the process is too large."""
        try:
            resident_bytes = int((self._folder / "statm").read_bytes().split()[1]) * PAGE_BYTES
            if resident_bytes > _LARGEST_BYTES:
                return False
            (self._folder / "clear_refs").write_text("1")
        except (OSError, ValueError, IndexError):
            return False
        return True

    def touched_pages(self) -> int | None:
        """Return how many pages were touched since `clear`; None where that is not told."""
        try:
            lines = (self._folder / "smaps_rollup").read_text().splitlines()
        except OSError:
            return None
        found = [line.split()[1] for line in lines if line.startswith("Referenced:")]
        return int(found[0]) * 1024 // PAGE_BYTES if found else None

    def look(self) -> None:
        """Count touched pages now and then while the process runs: what it frees is not counted at its end."""
        now_s = time.monotonic()
        if now_s - self._looked_s >= _LOOK_EVERY_S or self.most_pages is None:
            self._looked_s = now_s
            pages = self.touched_pages()
            if pages is not None:
                self.most_pages = max(pages, self.most_pages or 0)

    def window(self) -> bool:
        """Watch one short window; False if there was none to see."""
        with self._stopped() as stopped:
            before_s = self._cpu_s()
            if not stopped or before_s is None or not self.clear():
                return False
        time.sleep(WINDOW_S)
        with self._stopped() as stopped:
            after_s = self._cpu_s()
            pages = self.touched_pages()
        if not stopped or after_s is None or pages is None or after_s - before_s < WINDOW_S / 2:
            return False
        self.rates.append(max(0, pages - _FEWEST_PAGES) / (after_s - before_s))
        return True

    @contextlib.contextmanager
    def _stopped(self) -> Iterator[bool]:
        """Hold the process still inside the block."""
        started_s = held_s = time.monotonic()
        try:
            os.kill(self._pid, signal.SIGSTOP)
            while not (stopped := self._is_stopped()) and time.monotonic() - started_s < _SETTLE_S:
                time.sleep(0.0001)
            held_s = time.monotonic()  # what came before, it ran or waited for a core
            yield stopped
        except ProcessLookupError:
            yield False
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGCONT)
            self.frozen_s += time.monotonic() - held_s

    def _is_stopped(self) -> bool:
        try:
            return all(
                (thread / "stat").read_bytes().rpartition(b") ")[2][:1] == b"T"
                for thread in (self._folder / "task").iterdir()
            )
        except OSError:
            return False

    def _cpu_s(self) -> float | None:
        try:
            tasks = (self._folder / "task").iterdir()
            return sum(int((task / "schedstat").read_bytes().split()[0]) for task in tasks) * 1e-9
        except (OSError, ValueError, IndexError):
            return None
