"""Says what scaling would do and why, and buys nothing; imagined machines come at once, so that they can go too."""

import itertools
from collections.abc import Callable, Container

from dnaml.core.events import Acquire, Command, Event, Release, ResourceDown, ResourceUp
from dnaml.core.resource import Resource


class DryRun:
    """Takes commands like a carrier, and tells each one to `say`.

    `post` gets the coming and going of imaginary machines made `like` one; whoever decides hears of them, the engine
    does not.
    """

    def __init__(
        self,
        say: Callable[[str], None],
        post: Callable[[Event], None] = lambda event: None,
        now_s: Callable[[], float] = lambda: 0.0,
        like: Resource | None = None,
    ) -> None:
        self._say = say
        self._post = post
        self._now_s = now_s
        self._like = like
        self._numbers = itertools.count(1)

    def expected(self, seen: Container[str]) -> int:
        """Return 0: imaginary machines come at once."""
        return 0

    def do(self, command: Command) -> None:
        """Tell what a command would do."""
        if isinstance(command, Acquire):
            self._say(f"would acquire {command.count} x {command.template}: {command.reason}")
            for _ in range(command.count if self._like is not None else 0):
                self._post(ResourceUp(at_s=self._now_s(), resource=self._imagined()))
        elif isinstance(command, Release):
            self._say(f"would release {command.resource_id}: {command.reason}")
            self._post(ResourceDown(at_s=self._now_s(), resource_id=command.resource_id, reason=command.reason))

    def _imagined(self) -> Resource:
        like = self._like
        assert like is not None
        return Resource(id=f"imagined-{like.id}-{next(self._numbers)}", labels=like.labels)
