"""The state folder: where everything durable of one engine lies, and the lock that keeps a second engine out."""

import errno
import os
from pathlib import Path

from dnaml.core.errors import StateFolderError
from dnaml.datasets.engine_lock import TAKE_OVER_AFTER_S, EngineLock

_FOLDERS = ("blobs", "checkpoints", "logs", "inbox", "prices")
_LEAST_BYTES = 64 << 10  # free, to begin at all


def default_folder() -> Path:
    """Return the state folder used when none is named: `$DNAML_STATE`, else `~/.local/state/dnaml`."""
    named = os.environ.get("DNAML_STATE")
    return Path(named).expanduser() if named else Path.home() / ".local" / "state" / "dnaml"


class StateFolder:
    """Paths inside a state folder. Opening it for work takes the lock; reading needs none."""

    def __init__(self, root: Path) -> None:
        self.root = root.expanduser().absolute()
        self.journal = self.root / "journal.sqlite"
        self.blobs = self.root / "blobs"
        self.checkpoints = self.root / "checkpoints"
        self.logs = self.root / "logs"
        self.inbox = self.root / "inbox"
        self.samples = self.root / "samples.sqlite"
        self.resources = self.root / "resources.toml"
        self.prices = self.root / "prices"
        self.engine = EngineLock(self.root)

    def check(self) -> None:
        """Raise StateFolderError when the folder, or where it would be made, is no folder, read-only or full."""
        place = next(path for path in (self.root, *self.root.parents) if path.exists())
        reason = ""
        if not place.is_dir():
            reason = os.strerror(errno.ENOTDIR)
        elif not os.access(place, os.W_OK):
            reason = os.strerror(errno.EROFS if os.statvfs(place).f_flag & os.ST_RDONLY else errno.EACCES)
        elif os.statvfs(place).f_bavail * os.statvfs(place).f_frsize < _LEAST_BYTES:
            reason = os.strerror(errno.ENOSPC)
        if reason:
            raise StateFolderError(f"state folder {self.root} cannot be written: {reason}")

    def prepare(self) -> None:
        """Make the folders; raise StateFolderError when that cannot be, naming folder and cause."""
        try:
            for folder in (self.root, *(self.root / name for name in _FOLDERS)):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            probe = self.root / f".write-{os.getpid()}"
            try:
                probe.write_bytes(b"x" * 4096)
            finally:
                probe.unlink(missing_ok=True)
        except OSError as error:
            reason = error.strerror or str(error)
            raise StateFolderError(f"state folder {self.root} cannot be written: {reason}") from error

    def lock(self) -> None:
        """Take the engine's lock; raise StateInUseError naming the process that holds it."""
        self.prepare()
        self.engine.take()

    def stand_by(self, *, take_over_after_s: float = TAKE_OVER_AFTER_S, timeout_s: float | None = None) -> bool:
        """Wait for the engine's lock; True when it was taken from a holder that is frozen, not gone.

        Raises StateInUseError after `timeout_s`.
        """
        self.prepare()
        return self.engine.wait(take_over_after_s=take_over_after_s, timeout_s=timeout_s)

    def unlock(self) -> None:
        """Give the lock back."""
        self.engine.release()
