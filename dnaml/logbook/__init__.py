"""`autolog()`: every run and decision of this process's executors, and every training, kept in MLflow beside the work.

The work never waits for the tracking store: rows go to a bounded spool on disk and a thread sends them. A training is
written when it ends, by whoever asked for it.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dnaml.engine import Watcher
    from dnaml.predict.fitted import Hears
    from dnaml.tracking import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSettings:
    """How often rows are sent, from which runtime on a run gets a page of its own, and how much may lie unsent."""

    uri: str | None = None
    own_run_s: float = 10.0
    send_every_s: float = 10.0
    spool_bytes: int = 32 << 20
    close_s: float = 10.0
    busy_share: float = 0.02
    """share of the time that the thread may work while jobs run"""

    def __post_init__(self) -> None:
        """Raise InputError on a number that is not positive."""
        from dnaml.core.errors import InputError

        for name in ("own_run_s", "send_every_s", "spool_bytes", "close_s", "busy_share"):
            if not getattr(self, name) > 0:
                raise InputError(f"autolog: {name} must be positive, got {getattr(self, name)}")


_chosen: list[LogSettings] = []  # empty, or the one in force
_listening: "list[Hears]" = []  # to fits, as long as it is


def autolog(
    uri: str | None = None, *, own_run_s: float = 10.0, send_every_s: float = 10.0, disable: bool = False
) -> None:
    """Track in MLflow what executors opened from here on do; `disable` ends that for those opened later.

    Each executor gets one run with its resources, their DNA and this machine as tags, curves of predicted and measured
    times, and a table of every attempt with its decision; a run of `own_run_s` seconds or more gets a page below it.
    Each `RuntimePredictor.fit` gets a run of its own with data card and model. `uri` defaults to
    `$MLFLOW_TRACKING_URI`, else to the SQLite file of the executor's state folder.

    >>> import dnaml
    >>> dnaml.autolog(send_every_s=30)
    >>> dnaml.autolog(disable=True)
    """
    chosen = LogSettings(uri=uri, own_run_s=own_run_s, send_every_s=send_every_s)
    from dnaml.predict.fitted import LISTENERS

    _chosen.clear()
    LISTENERS[:] = [hears for hears in LISTENERS if hears not in _listening]
    _listening.clear()
    if not disable:
        from dnaml.logbook.trainings import kept_in

        _listening.append(kept_in(uri))
        LISTENERS.extend(_listening)
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
        _chosen.append(chosen)


def watching(watcher: "Watcher", state: Path) -> "tuple[Watcher, Callable[[], None]]":
    """Return the watcher that also tracks, and what ends the tracking; the watcher itself where autolog is off."""
    if not _chosen:
        return watcher, _nothing
    from dnaml.logbook.logged import LoggedWatcher

    logged = LoggedWatcher(watcher, state, store_of(state, _chosen[0]), _chosen[0])
    return logged, logged.close


def store_of(state: Path, settings: LogSettings) -> "Store":
    """Return the store in use: that of a URI, else as every other part of dnaml chooses it."""
    from dnaml import tracking

    return tracking.store_of(state) if settings.uri is None else tracking.store_at(settings.uri)


def _nothing() -> None:
    """End no tracking."""
