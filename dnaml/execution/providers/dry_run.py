"""Says what scaling would do and why, and does nothing."""

from collections.abc import Callable

from dnaml.core.events import Acquire, Command, Release


class DryRun:
    """Takes commands like a carrier, and tells each one to `say`."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self.coming = 0

    def do(self, command: Command) -> None:
        """Tell what a command would do."""
        if isinstance(command, Acquire):
            self._say(f"would acquire {command.count} x {command.template}: {command.reason}")
        elif isinstance(command, Release):
            self._say(f"would release {command.resource_id}: {command.reason}")
