"""The state folder: where everything durable of one engine lies, and the lock that keeps a second engine out."""

import fcntl
import os
from pathlib import Path

from dnaml.core.errors import StateFolderError, StateInUseError

_FOLDERS = ("blobs", "checkpoints", "logs", "inbox", "prices")


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
        self._lock: int | None = None

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
        fd = os.open(self.root / "engine.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(fd, 32).decode(errors="replace").strip() or "unknown"
            os.close(fd)
            raise StateInUseError(
                f"state folder {self.root} is in use by an engine in process {holder}; "
                "name another folder or end that process"
            ) from None
        os.ftruncate(fd, 0)
        os.pwrite(fd, str(os.getpid()).encode(), 0)
        self._lock = fd

    def unlock(self) -> None:
        """Give the lock back."""
        if self._lock is not None:
            os.ftruncate(self._lock, 0)
            os.close(self._lock)
            self._lock = None
