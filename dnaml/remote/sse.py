"""Server-sent events from bytes, as the HTML standard reads them: lines end where bytes say, not where text does."""

import re
from dataclasses import dataclass

from dnaml.core.errors import CorruptError

_LINE_END = re.compile(rb"\r\n|\n|\r")
MOST_BYTES = 16 << 20  # of one event


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerEvent:
    """One event: its kind, its text, and the id after which a stream goes on."""

    kind: str
    data: str
    last_id: str


class EventReader:
    """Takes the bytes of a stream in, whatever their pieces, and gives its events out."""

    def __init__(self) -> None:
        self.last_id = ""
        self._rest = b""
        self._kind = ""
        self._data: list[str] = []

    def feed(self, part: bytes) -> list[ServerEvent]:
        """Return the events that a further piece completes; raise CorruptError for one without end."""
        text = self._rest + part
        held = text.endswith(b"\r")  # the line feed that belongs to it may be on its way
        *lines, self._rest = _LINE_END.split(text[:-1] if held else text)
        self._rest += b"\r" if held else b""
        if len(self._rest) > MOST_BYTES:
            raise CorruptError(f"an event of more than {MOST_BYTES} bytes")
        return [event for line in lines if (event := self._line(line)) is not None]

    def _line(self, line: bytes) -> ServerEvent | None:
        if not line:
            return self._dispatch()
        name, _, value = line.decode("utf-8", "replace").partition(":")
        value = value.removeprefix(" ")
        if name == "event":
            self._kind = value
        elif name == "data":
            self._data.append(value)
        elif name == "id" and "\0" not in value:
            self.last_id = value
        return None

    def _dispatch(self) -> ServerEvent | None:
        kind, data = self._kind or "message", self._data
        self._kind, self._data = "", []
        return ServerEvent(kind=kind, data="\n".join(data), last_id=self.last_id) if data else None
