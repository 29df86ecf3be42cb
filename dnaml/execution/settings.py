"""Numbers of the local back end."""

from dataclasses import dataclass

from dnaml.core.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalSettings:
    """Numbers of the local back end.

    A worker beats every `beat_every_s`; one that is silent for `dead_after_s` is dead, unless its counters show that
    it burns CPU or waits for a core. What is asked to stop, or used more than it may, gets a grace and is then killed.
    What stands in line behind an attempt that has run for `give_back_after_s` is given back, to be placed anew.
    A spare worker is kept once some worker is `spare_after_s` old and runs more than brief work (None: never).
    `pids` and `open_files` limit each worker and what it starts.
    """

    tick_every_s: float = 1.0
    beat_every_s: float = 1.0
    dead_after_s: float = 5.0
    stop_grace_s: float = 5.0
    overrun_grace_s: float = 2.0
    give_back_after_s: float = 0.25
    spare_after_s: float | None = 1.0
    pids: int | None = 4096
    open_files: int | None = 16384

    def __post_init__(self) -> None:
        """Raise InputError where the living would be taken for dead."""
        if not 0 < self.beat_every_s < self.dead_after_s:
            limit_s = self.dead_after_s
            raise InputError(f"local: beat_every_s must be positive and below {limit_s}, got {self.beat_every_s}")
