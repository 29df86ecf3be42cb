"""What works beside others between `start` and `stop`, and for as long as a `with` lasts."""

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self


class Background(ABC):
    """Is started by `with` and stopped at its end, however that comes about."""

    @abstractmethod
    def start(self) -> Self:
        """Begin, and return this object."""

    @abstractmethod
    def stop(self) -> None:
        """End, once what is at hand is done; a second time changes nothing."""

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
