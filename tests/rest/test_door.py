"""The door of the dashboard: who gets in, what the cookie is like, and what nobody gets."""

import asyncio
from typing import Any

import httpx
import pytest
from starlette.responses import PlainTextResponse

from dnaml.rest.auth import Caller, Scope
from dnaml.rest.door import Door, is_behind

TOKEN = "dnaml_0000aaaa_secret"
OURS = Caller(tenant="ours", scope=Scope.READ, name="ci")


class House:
    """A door with something behind it that says what came through."""

    def __init__(self) -> None:
        self.came: list[str] = []
        self.opened = True
        self.door = Door(self._inside, caller_of=lambda token: OURS if token == TOKEN else None, opened=self._is_open)

    def _is_open(self) -> bool:
        return self.opened

    async def _inside(self, scope: Any, receive: Any, send: Any) -> None:
        self.came.append(scope["path"])
        if scope["type"] == "http":
            names = {name for name, _ in scope["headers"]}
            headers = {"X-Forwarded": str(b"x-forwarded-prefix" in names), "X-Frame-Options": "SAMEORIGIN"}
            await PlainTextResponse("inside", headers=headers)(scope, receive, send)

    def ask(
        self, method: str, path: str, *, caller: Caller | None = None, scheme: str = "http", **more: Any
    ) -> httpx.Response:
        """Send one request as the gate hands it on."""

        async def gate(scope: Any, receive: Any, send: Any) -> None:
            scope["state"] = {"caller": caller}
            scope["headers"] = list(scope["headers"])
            await self.door(scope, receive, send)

        async def run() -> httpx.Response:
            transport = httpx.ASGITransport(app=gate)
            async with httpx.AsyncClient(transport=transport, base_url=f"{scheme}://localhost") as client:
                return await client.request(method, path, **more)

        return asyncio.run(run())


@pytest.fixture
def house() -> House:
    return House()


def test_only_the_dashboards_own_paths_are_behind_the_door() -> None:
    assert [is_behind(path) for path in ("/", "/ui", "/ui/", "/ui/queue")] == [True] * 4
    assert [is_behind(path) for path in ("/uix", "/ui.", "/api/v1/jobs", "/_nicegui/x")] == [False] * 4


def test_both_ways_in_lead_to_the_first_page(house: House) -> None:
    for path in ("/", "/ui"):
        assert house.ask("GET", path).headers["location"] == "/ui/"
        assert house.ask("POST", path).status_code == 405


@pytest.mark.parametrize("path", ["/ui/", "/ui/queue", "/ui/jobs/a"])
def test_who_asks_for_a_page_without_a_token_is_led_to_the_login(house: House, path: str) -> None:
    answer = house.ask("GET", path)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/ui/login?next={path.replace('/', '%2F')}")
    assert house.came == []


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/ui/_nicegui/3/static/x.js"),
        ("GET", "/ui/static/page.css"),
        ("POST", "/ui/_nicegui_ws/"),
        ("PUT", "/ui/"),
    ],
)
def test_nothing_else_is_given_without_a_token(house: House, method: str, path: str) -> None:
    assert house.ask(method, path).status_code == 401
    assert house.came == []


def test_a_socket_without_a_token_is_refused(house: House) -> None:
    scope = {"type": "websocket", "path": "/ui/_nicegui_ws/socket.io/", "headers": [], "state": {"caller": None}}
    with pytest.raises(Exception, match="valid token"):
        asyncio.run(house.door(scope, None, None))  # type: ignore[arg-type]
    assert house.came == []
    asyncio.run(house.door({**scope, "state": {"caller": OURS}}, None, None))  # type: ignore[arg-type]
    assert house.came == ["/ui/_nicegui_ws/socket.io/"]


def test_the_right_token_gets_a_cookie_that_no_script_and_no_other_site_can_use(house: House) -> None:
    answer = house.ask("POST", "/ui/login", data={"token": f" {TOKEN}\n", "next": "/ui/queue"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/ui/queue")
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith(f"dnaml_token={TOKEN}; ")
    assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= set(cookie.split("; "))
    assert "Secure" not in cookie
    secure = house.ask("POST", "/ui/login", scheme="https", data={"token": TOKEN})
    assert "Secure" in secure.headers["set-cookie"].split("; ")


@pytest.mark.parametrize("data", [{}, {"token": ""}, {"token": "x"}, {"token": TOKEN + "x"}, {"other": TOKEN}])
def test_a_wrong_token_gets_a_sentence_and_no_cookie(house: House, data: dict[str, str]) -> None:
    answer = house.ask("POST", "/ui/login", data=data)
    assert answer.status_code == 401
    assert "set-cookie" not in answer.headers
    assert 'role="alert"' in answer.text


def test_wrong_tokens_are_answered_slowly_after_a_while_but_the_right_one_still_gets_in(house: House) -> None:
    answers = [house.ask("POST", "/ui/login", data={"token": "x"}).status_code for _ in range(40)]
    assert (answers[0], answers[-1]) == (401, 429)
    assert house.ask("POST", "/ui/login", data={"token": TOKEN}).status_code == 303


@pytest.mark.parametrize(
    "wanted",
    ["https://evil.example/", "//evil.example/", "/ui/\r\nX: y", "/ui/\\evil", "/api/v1/jobs", "/ui/login", ""],
)
def test_a_login_leads_nowhere_but_to_pages_of_ours(house: House, wanted: str) -> None:
    answer = house.ask("POST", "/ui/login", data={"token": TOKEN, "next": wanted})
    assert answer.headers["location"] == "/ui/"


def test_what_was_wanted_is_written_into_the_form_as_text(house: House) -> None:
    answer = house.ask("GET", "/ui/login", params={"next": '/ui/"><script>alert(1)</script>'})
    assert "<script" not in answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert "revoked" in house.ask("GET", "/ui/login?ended=1").text


def test_who_is_in_already_is_not_asked_again_and_logging_out_ends_it(house: House) -> None:
    assert house.ask("GET", "/ui/login?next=%2Fui%2Fqueue", caller=OURS).headers["location"] == "/ui/queue"
    gone = house.ask("POST", "/ui/logout", caller=OURS)
    assert (gone.headers["location"], "Max-Age=0" in gone.headers["set-cookie"]) == ("/ui/login", True)
    assert "set-cookie" not in house.ask("GET", "/ui/logout", caller=OURS).headers


def test_a_form_that_is_too_long_is_refused(house: House) -> None:
    with pytest.raises(Exception, match="at most 4096 bytes"):
        house.ask("POST", "/ui/login", content=b"token=" + b"x" * 5_000)


def test_pages_carry_what_keeps_other_sites_out_and_their_own_headers_are_replaced(house: House) -> None:
    answer = house.ask("GET", "/ui/", caller=OURS, headers={"X-Forwarded-Prefix": "//evil.example"})
    assert answer.text == "inside"
    assert answer.headers["x-forwarded"] == "False"
    assert answer.headers.get_list("x-frame-options") == ["DENY"]
    assert "default-src 'self'" in answer.headers["content-security-policy"]


def test_one_tenant_cannot_open_pages_without_end_while_another_may(house: House) -> None:
    statuses = [house.ask("GET", "/ui/", caller=OURS).status_code for _ in range(100)]
    assert (statuses[0], statuses[-1]) == (200, 429)
    other = Caller(tenant="theirs", scope=Scope.READ)
    assert house.ask("GET", "/ui/", caller=other).status_code == 200
    assert house.ask("GET", "/ui/static/page.css", caller=OURS).status_code == 200


def test_a_standby_says_that_it_stands_by_and_looks_again(house: House) -> None:
    house.opened = False
    answer = house.ask("GET", "/ui/")
    assert (answer.status_code, "Standing by" in answer.text, 'http-equiv="refresh"' in answer.text) == (
        503,
        True,
        True,
    )
