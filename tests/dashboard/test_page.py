"""The page in a real headless Chromium on a real service: every view, login, keyboard, themes, phone, live changes."""

import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from dnaml.dashboard.views import VIEWS
from dnaml.rest.auth import Scope, Tokens
from tests.dashboard.stage import CHROMIUM, RESOURCES, SHOTS, Stage, Visit, browser, stage

pytest.importorskip("nicegui", reason="needs the extra `dashboard`")
pytest.importorskip("playwright.sync_api", reason="needs playwright")
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="needs Debian's package chromium"),
    pytest.mark.timeout(180),
]
BAD = "<img src=x onerror=window.hacked=1>"


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A service with jobs that succeeded, failed, lost their worker and run until a file is there."""
    folder = tmp_path_factory.mktemp("dashboard")
    (folder / "resources.toml").write_text(RESOURCES)
    shutil.rmtree(SHOTS, ignore_errors=True)
    words = ("--require-token", "--resources", str(folder / "resources.toml"))
    with stage(folder, *words, prepare=("ours", "brief")) as made:
        made.give("other", tenant="theirs", scope=Scope.READ)
        for n in range(4):
            made.submit(f"double {n}", "double", n)
        made.submit(BAD, "fail", BAD)
        assert {made.ended(f"double {n}") for n in range(4)} == {"SUCCEEDED"}
        assert made.ended(BAD) == "FAILED"
        made.submit("dies once", "die_once", str(folder / "died"))
        assert made.ended("dies once") == "SUCCEEDED"
        made.submit("runs", "count", str(folder / "gate"))
        made.until_running("runs")
        yield made


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """One browser for the module."""
    with browser() as found:
        yield found


@pytest.fixture(scope="module")
def reader(chromium: Any, scene: Stage) -> Iterator[Visit]:
    """A visit of somebody who has logged in."""
    visit = Visit(chromium, scene)
    visit.log_in("ours")
    yield visit
    visit.close()


def paths(scene: Stage) -> list[str]:
    """Return where every view is, those of jobs with one that ran, one that was lost and one that failed."""
    found = [view.path for view in VIEWS if "{" not in view.path]
    return [*found, *(f"/jobs/{scene.jobs[name]}" for name in ("dies once", BAD))]


def test_every_view_is_drawn_without_an_error_on_a_screen_and_on_a_dark_phone(chromium: Any, scene: Stage) -> None:
    visit = Visit(chromium, scene)
    visit.log_in("ours")
    for path in paths(scene):
        name = path.strip("/").partition("/")[0] or "pool"
        visit.open(path)
        for scheme, width, ground in (("light", 1280, "243, 245, 248"), ("dark", 390, "13, 18, 24")):
            visit.page.emulate_media(color_scheme=scheme)
            visit.page.set_viewport_size({"width": width, "height": 900})
            visit.page.wait_for_function(f"() => document.documentElement.scrollWidth <= {width}")
            assert visit.page.evaluate("getComputedStyle(document.body).backgroundColor") == f"rgb({ground})", path
            visit.shot(f"{name}-{scheme}-{width}")
        assert visit.page.locator(".trouble").count() == 0, path
    assert visit.wrong == []
    assert visit.left_the_host() == []
    assert visit.page.evaluate("window.hacked") is None
    visit.close()


def test_the_token_is_asked_once_and_kept_where_no_script_reads_it(chromium: Any, scene: Stage) -> None:
    visit = Visit(chromium, scene)
    page = visit.page
    page.goto(f"{scene.url}/ui/queue")
    page.wait_for_url("**/ui/login?next=*")
    visit.shot("login-light-1280")
    page.fill("#token", scene.tokens["ours"][:-1] + "x")
    page.keyboard.press("Enter")
    page.wait_for_selector("[role=alert]")
    page.fill("#token", scene.tokens["ours"])
    page.keyboard.press("Enter")
    page.wait_for_url("**/ui/queue")
    page.wait_for_selector("h1")
    kept = next(cookie for cookie in visit.context.cookies() if cookie["name"] == "dnaml_token")
    assert (kept["httpOnly"], kept["sameSite"]) == (True, "Lax")
    assert scene.tokens["ours"] not in page.evaluate("document.cookie") + page.content()
    page.click("text=Log out")
    page.wait_for_url("**/ui/login")
    assert not [cookie for cookie in visit.context.cookies() if cookie["name"] == "dnaml_token" and cookie["value"]]
    visit.close()


def test_another_tenants_reader_sees_none_of_our_jobs(chromium: Any, scene: Stage) -> None:
    visit = Visit(chromium, scene)
    visit.log_in("other")
    visit.open("/queue")
    words = visit.page.inner_text(".empty")
    assert "The queue is empty" in words
    assert f'dnaml.connect("{scene.url}", token="dnaml_...")' in words  # what to type to submit a first job
    visit.shot("empty-light-1280")
    visit.open(f"/jobs/{scene.jobs['dies once']}")
    assert f"no job {scene.jobs['dies once']!r}" in visit.page.inner_text("[role=alert]")
    visit.open("/")
    assert visit.page.locator("dd").nth(2).inner_text() == "0 / 3"
    visit.close()


def test_a_revoked_token_loses_an_open_page(chromium: Any, scene: Stage) -> None:
    visit = Visit(chromium, scene)
    visit.log_in("brief")
    visit.page.wait_for_selector("h1")
    Tokens(scene.folder / "state" / "tokens.json").revoke("brief")
    visit.page.wait_for_url("**/ui/login?ended=1")
    assert "revoked" in visit.page.inner_text("[role=alert]")
    visit.page.goto(f"{scene.url}/ui/")
    visit.page.wait_for_url("**/ui/login**")
    visit.close()


def test_the_keyboard_reaches_everything(reader: Visit) -> None:
    page = reader.page
    reader.open("/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    page.wait_for_function("() => document.activeElement.id === 'content'")
    reader.open("/")
    for _ in range(4):  # past the skip link, the name and the page that is shown
        page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.innerText") == "Queue"
    page.keyboard.press("Enter")
    page.wait_for_url("**/ui/queue")
    failed = page.locator("button", has_text="Failed 1")
    failed.focus()
    page.keyboard.press("Space")
    page.wait_for_function("() => document.querySelectorAll('tbody tr').length === 1")
    assert failed.get_attribute("aria-pressed") == "true"
    page.locator("tbody a").focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/ui/jobs/*")


def test_a_theme_that_was_chosen_stays(reader: Visit) -> None:
    page = reader.page
    reader.open("/")
    for name in ("light", "dark"):
        page.locator("button.theme").click()
        page.wait_for_function(f"() => document.documentElement.dataset.theme === '{name}'")
    reader.open("/queue")
    assert page.locator("button.theme").inner_text() == "Theme: dark"
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(13, 18, 24)"
    reader.shot("queue-dark-1280")
    page.locator("button.theme").click()
    page.wait_for_function("() => document.documentElement.dataset.theme === 'auto'")


def test_a_job_that_ends_and_one_that_comes_are_seen_without_a_reload(reader: Visit, scene: Stage) -> None:
    page = reader.page
    reader.open("/queue")
    row = page.locator("tbody tr", has_text="runs")
    assert row.locator(".tag").inner_text() == "running"
    row.locator("a").focus()
    (scene.folder / "gate").touch()
    page.wait_for_function(
        "() => [...document.querySelectorAll('tbody tr')].some("
        "row => row.innerText.includes('runs') && row.innerText.includes('succeeded'))"
    )
    assert page.evaluate("document.activeElement.innerText") == "runs"  # what has the focus keeps it
    scene.submit("came later", "double", 21)
    page.wait_for_selector("tbody >> text=came later")
    page.fill("input[type=search]", "double 2")
    page.wait_for_function("() => document.querySelectorAll('tbody tr').length === 1")
    reader.open(f"/jobs/{scene.jobs['came later']}")
    page.wait_for_selector("pre >> text=42")
