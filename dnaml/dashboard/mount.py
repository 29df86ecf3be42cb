"""Mounts the dashboard's pages on an application, once in a process; needs the extra `dashboard`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from dnaml.core.errors import MissingExtra
from dnaml.dashboard.reads import Caller, Reads

PATH = "/ui"
STATIC = Path(__file__).parent / "static"
ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="7" fill="#00696d"/>'
    '<path d="M10 5c0 8 12 14 12 22M22 5c0 8-12 14-12 22M11.5 9h9M11.5 23h9M14 13h4M14 19h4" fill="none" '
    'stroke="#fff" stroke-width="2" stroke-linecap="round"/></svg>'
)


def _packed(app: Any) -> Any:  # ASGI applications
    """Send the files of the page compressed, at the level that costs half of the best and is 1 % larger."""
    from starlette.middleware.gzip import GZipMiddleware

    return GZipMiddleware(app, minimum_size=500, compresslevel=5)


def mount(app: Any, open_reads: Callable[[Any], tuple[Reads, Caller]]) -> None:
    """Add the pages to a FastAPI application; `open_reads` gives what the caller of a request may read.

    Raises MissingExtra where NiceGUI is not installed. Who may come at all is checked before the application.
    """
    try:
        from nicegui import app as pages
        from nicegui import ui
    except ImportError as error:
        raise MissingExtra("the web page needs NiceGUI: pip install 'dnaml[dashboard]'") from error
    from dnaml.dashboard.shell import handlers

    for path, handler, title in handlers(open_reads):
        ui.page(path, title=title)(handler)
    pages.add_static_files("/static", STATIC, max_cache_age=365 * 86_400)
    ui.run_with(
        app,
        mount_path=PATH,
        title="dnaml",
        favicon=ICON,
        dark=None,
        tailwind=False,
        reconnect_timeout=10.0,
        binding_refresh_interval=None,
        gzip_middleware_factory=_packed,
        show_welcome_message=False,
    )
