"""The door of the dashboard: asks for the token once, keeps it in a cookie, lets nobody else at what lies behind.

Behind it are NiceGUI's pages, assets and sockets. Only the login page, which is plain HTML without scripts, and the
page that says that a standby is waiting are shown to anybody.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from html import escape
from http.cookies import SimpleCookie
from pathlib import Path
from string import Template
from typing import Any
from urllib.parse import parse_qs, quote

from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response

from dnaml.rest.auth import COOKIE, Caller
from dnaml.rest.limits import Buckets
from dnaml.rest.problems import Problem

Scope = MutableMapping[str, Any]  # ASGI's own values
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Asgi = Callable[[Scope, Receive, Send], Awaitable[None]]

UI, LOGIN, LOGOUT = "/ui", "/ui/login", "/ui/logout"
_ASSETS = ("/ui/_nicegui/", "/ui/_nicegui_ws/", "/ui/static/")
_KEPT_S = 30 * 86_400  # a token that is over or revoked ends earlier
_MOST_FORM_BYTES, _FORM_S = 4_096, 10.0
_WRONG_PER_S, _WRONG_BURST = 2.0, 20.0
_PAGES_PER_S, _PAGES_BURST = 5.0, 60.0  # of one tenant; what a page holds is kept for a minute
_MOST_SOCKETS = 256
_HEADERS = {
    b"content-security-policy": (
        b"default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline';"
        b" img-src 'self' data: blob:; font-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self';"
        b" frame-ancestors 'none'"
    ),
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"same-origin",
}
_PAGE = Template((Path(__file__).parent / "door.html").read_text(encoding="utf-8"))


def is_behind(path: str) -> bool:
    """Say whether a path is the dashboard's, or leads there."""
    return path in ("/", UI) or path.startswith(f"{UI}/")


class Door:
    """Stands before the dashboard; `caller_of` says for whom a token speaks, `opened` whether there is a service."""

    def __init__(self, app: Asgi, *, caller_of: Callable[[str], Caller | None], opened: Callable[[], bool]) -> None:
        self._app, self._caller_of, self._opened = app, caller_of, opened
        self._wrong = Buckets(_WRONG_PER_S, _WRONG_BURST, time.monotonic)
        self._pages = Buckets(_PAGES_PER_S, _PAGES_BURST, time.monotonic)
        self._sockets = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Show the login, or let a request through."""
        safe = _with_headers(send)
        if scope["type"] == "websocket":
            await self._socket(scope, receive, send)
            return
        answer = await self._answer(scope, receive)
        if answer is None:
            scope["headers"] = [one for one in scope["headers"] if one[0] != b"x-forwarded-prefix"]
            await self._app(scope, receive, safe)
        else:
            await answer(scope, receive, safe)

    async def _socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self._opened() or scope.get("state", {}).get("caller") is None or self._sockets >= _MOST_SOCKETS:
            raise Problem(401, "a valid token must be given")
        self._sockets += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._sockets -= 1

    async def _answer(self, scope: Scope, receive: Receive) -> Response | None:
        """Return what is answered here, None for what lies behind."""
        path, method = scope["path"], scope["method"]
        if not self._opened():
            return _page("Standing by", _STANDBY, status=503, head='<meta http-equiv="refresh" content="2">')
        if path == LOGIN:
            return await self._login(scope, receive)
        if path == LOGOUT:
            return _logout(scope) if method == "POST" else RedirectResponse(f"{UI}/", 303)
        reads = method in ("GET", "HEAD")
        if path in ("/", UI):
            return RedirectResponse(f"{UI}/", 307) if reads else PlainTextResponse("Method Not Allowed\n", 405)
        caller = scope["state"]["caller"]
        if caller is None:
            asset = path.startswith(_ASSETS) or not reads
            told = PlainTextResponse("a valid token must be given\n", 401)
            return told if asset else RedirectResponse(f"{LOGIN}?next={quote(path, safe='')}", 303)
        if not path.startswith(_ASSETS) and (wait_s := self._pages.take(caller.tenant)):
            return _page("One moment", f"<p>Too many pages at once; try again in {wait_s} s.</p>", status=429)
        return None

    async def _login(self, scope: Scope, receive: Receive) -> Response:
        query = parse_qs(scope["query_string"].decode("latin-1"))
        wanted = _own_page(query.get("next", [""])[0])
        if scope["method"] in ("GET", "HEAD"):
            if scope["state"]["caller"] is not None:
                return RedirectResponse(wanted, 303)
            told = "Your token was revoked or is over." if "ended" in query else ""
            return _form(wanted, told)
        if scope["method"] != "POST":
            return PlainTextResponse("Method Not Allowed\n", 405, {"Allow": "GET, POST"})
        form = parse_qs((await _body(receive)).decode("utf-8", "replace"), max_num_fields=8)
        token, wanted = form.get("token", [""])[0].strip(), _own_page(form.get("next", [wanted])[0])
        if self._caller_of(token) is None:
            if wait_s := self._wrong.take(""):
                return _form(wanted, f"Too many wrong tokens; try again in {wait_s} s.", 429)
            return _form(wanted, "This token is unknown, over, or revoked.", 401)
        answer = RedirectResponse(wanted, 303)
        answer.headers.append("Set-Cookie", _cookie(token, _KEPT_S, secure=scope.get("scheme") == "https"))
        return answer


def _logout(scope: Scope) -> Response:
    answer = RedirectResponse(LOGIN, 303)
    answer.headers.append("Set-Cookie", _cookie("", 0, secure=scope.get("scheme") == "https"))
    return answer


def _cookie(value: str, kept_s: int, *, secure: bool) -> str:
    """Return the header that keeps a token where no script can read it; what is no word of a cookie is quoted."""
    cookie = SimpleCookie({COOKIE: value})
    marks = f"Path=/; Max-Age={kept_s}; HttpOnly; SameSite=Lax"
    return f"{cookie[COOKIE].OutputString()}; {marks}{'; Secure' if secure else ''}"


def _own_page(wanted: str) -> str:
    """Return a page of ours that was wanted, else the first: nobody is led elsewhere after a login."""
    own = wanted.startswith(f"{UI}/") and not set(wanted) & set("\\\r\n") and wanted not in (LOGIN, LOGOUT)
    return quote(wanted, safe="/%") if own else f"{UI}/"


async def _body(receive: Receive) -> bytes:
    """Return a form's whole body; a Problem for one that is too long in bytes or seconds."""
    body = b""
    try:
        async with asyncio.timeout(_FORM_S):
            while True:
                message = await receive()
                body += bytes(message.get("body", b""))
                if len(body) > _MOST_FORM_BYTES:
                    raise Problem(413, f"a token has at most {_MOST_FORM_BYTES} bytes", headers={"Connection": "close"})
                if message["type"] == "http.disconnect" or not message.get("more_body", False):
                    return body
    except TimeoutError:
        raise Problem(408, "the body did not arrive in time", headers={"Connection": "close"}) from None


_STANDBY = """<p>This service waits until the engine before it ends, and takes over then.
This page looks again by itself.</p>"""
_FORM = """<form method="post" action="/ui/login">
<input type="hidden" name="next" value="{next}">
<label for="token">Token</label>
<input id="token" name="token" type="password" autocomplete="current-password" spellcheck="false" required autofocus>
{told}<button type="submit">Log in</button></form>
<p>No token yet? Whoever runs the service makes one:</p>
<pre tabindex="0">dnaml token create NAME --tenant TENANT --scope read</pre>"""


def _form(wanted: str, told: str, status: int = 200) -> Response:
    words = f'<p class="trouble" role="alert">{escape(told)}</p>' if told else ""
    return _page("Log in", _FORM.format(next=escape(wanted, quote=True), told=words), status=status)


def _page(title: str, body: str, *, status: int, head: str = "") -> Response:
    return HTMLResponse(_PAGE.substitute(title=title, body=body, head=head), status, {"Cache-Control": "no-store"})


def _with_headers(send: Send, headers: Mapping[bytes, bytes] = _HEADERS) -> Send:
    """Return a send that adds what browsers need to know to keep a page safe."""

    async def sending(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            kept = [one for one in message.get("headers", []) if one[0].lower() not in headers]
            message = {**message, "headers": [*kept, *headers.items()]}
        await send(message)

    return sending
