"""The end of what a job wrote, read from the end: a log may be larger than memory."""

from collections.abc import Sequence
from pathlib import Path

from dnaml.dashboard.reads import LogTail
from dnaml.history import AttemptView


def log_tail(attempts: Sequence[AttemptView], logs: Path, most_bytes: int) -> LogTail:
    """Return the last bytes of the logs of attempts, oldest first; what is no text is shown as a mark."""
    parts: list[bytes] = []
    left, left_out = most_bytes, 0
    for attempt in reversed(attempts):
        path = logs / (attempt.log or "")
        try:
            end = path.stat().st_size if attempt.log_end is None else attempt.log_end
            size = min(left, max(0, end - attempt.log_start))
            with path.open("rb") as log:
                log.seek(end - size)
                parts.append(log.read(size))
        except OSError:  # gone with its machine, or never begun
            continue
        left -= size
        left_out += max(0, end - attempt.log_start - size)
    return LogTail(text=b"".join(reversed(parts)).decode("utf-8", "replace"), left_out_bytes=left_out)
