"""Server-sent events: what happened after a number, then what happens, with a sign of life while nothing does."""

from collections.abc import AsyncIterator, Callable, Iterable

from starlette.responses import StreamingResponse

from dnaml.rest.hub import Hub, Told
from dnaml.rest.problems import Problem

MEDIA_TYPE = "text/event-stream"
News = Callable[[int], Iterable[Told]]
"""number -> what came after it, for one who listens"""


def event_stream(
    hub: Hub, news: News, *, after: int, heartbeat_s: float, over: Callable[[], bool] = lambda: False
) -> StreamingResponse:
    """Return a response that tells what comes after a number, until `over` says that nothing more will come."""
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_told(hub, news, after, heartbeat_s, over), media_type=MEDIA_TYPE, headers=headers)


def number_after(last_event_id: str | None) -> int | None:
    """Return the number in a Last-Event-ID header, None without one; a Problem with status 400 for another text."""
    if last_event_id is None or not last_event_id.strip():
        return None
    text = last_event_id.strip()
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise Problem(400, "Last-Event-ID: must be a number that this stream told", kind="malformed")
    return int(text)


async def _told(hub: Hub, news: News, after: int, heartbeat_s: float, over: Callable[[], bool]) -> AsyncIterator[bytes]:
    waiting = hub.subscribe()
    try:
        yield b": dnaml\nretry: 1000\n\n"
        while True:
            ends = over() or hub.closed  # asked first: what it rests on is then among the news
            for told in news(after):
                after = told.number
                yield b"id: %d\nevent: %s\ndata: %s\n\n" % (told.number, told.kind.encode(), told.data)
            if ends:
                yield b"event: end\ndata: {}\n\n"
                return
            if not await waiting.wait(heartbeat_s):
                yield b": still here\n\n"
    finally:
        waiting.end()
