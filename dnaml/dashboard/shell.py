"""Frames a page: head, navigation, who looks, theme, and the page itself with its first figures already in it."""

from collections.abc import Awaitable, Callable, Sequence
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from dnaml.core.errors import DnamlError
from dnaml.dashboard import parts
from dnaml.dashboard.reads import Caller, Reads
from dnaml.dashboard.views import VIEWS, View

PATIENCE_S = 1.0  # so long a page waits for its first figures before it is sent without them
_STATIC = Path(__file__).parent / "static"


async def show(view: View, reads: Reads, caller: Caller, places: dict[str, str]) -> None:
    """Draw a whole page into the current NiceGUI client; `places` are the parts of its path."""
    from nicegui import ui

    ui.add_head_html(_head())
    _header(view, caller)
    with ui.element("div").classes("page").props("id=content tabindex=-1"), parts.gathering() as feeds:
        parts.text("h1", view.title)
        parts.text("p", view.about, "about")
        try:
            view.draw(reads, caller, **places)
        except DnamlError as error:
            parts.empty("This cannot be shown", str(error))
    await parts.first(feeds, PATIENCE_S)


@cache
def _head() -> str:
    """Return what the head of each page names: our own files, by their content so that browsers may keep them."""
    mark = {name: sha256((_STATIC / name).read_bytes()).hexdigest()[:12] for name in ("page.css", "page.js")}
    return (
        f'<link rel="stylesheet" href="/ui/static/page.css?{mark["page.css"]}">'
        f'<script src="/ui/static/page.js?{mark["page.js"]}"></script>'
    )


def _header(view: View, caller: Caller) -> None:
    from nicegui import ui

    parts.text("a", "To the content", "skip").props("href=#content")
    with ui.element("header"):
        with ui.element("nav").props('aria-label="Pages"'):
            parts.text("a", "dnaml", "brand").props("href=/ui/")
            for one in VIEWS:
                if one.name:
                    link = parts.text("a", one.name)
                    link.props["href"] = "/ui" + one.path
                    if one is view or (not view.name and one.path == "/queue"):
                        link.props["aria-current"] = "page"
        with ui.element("div").classes("who"):
            parts.text("button", "Theme", "theme").props('type=button aria-label="Light, dark or as the system"')
            parts.text("span", f"{caller.name or 'token'} · {caller.tenant}", "caller")
            if caller.name != LOCAL_NAME:
                _logout()


LOCAL_NAME = "this machine"


def _logout() -> None:
    from nicegui import ui

    with ui.element("form").props('method=post action="/ui/logout"'):
        parts.text("button", "Log out").props("type=submit")


def handlers(
    open_reads: Callable[[Any], tuple[Reads, Caller]], views: Sequence[View] = VIEWS
) -> Sequence[tuple[str, Callable[[], Awaitable[None]], str]]:
    """Return (path, handler, title) for each view; `open_reads` gives what a request's caller may read."""

    def handler_of(view: View) -> Callable[[], Awaitable[None]]:
        async def handler() -> None:
            from nicegui import ui

            request = ui.context.client.request
            reads, caller = open_reads(request)
            await show(view, reads, caller, dict(request.path_params))

        return handler

    return [(view.path, handler_of(view), f"{view.title} · dnaml") for view in views]
