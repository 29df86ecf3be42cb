"""What pages are made of: panels, charts, tables, tiles, empty states, and `live`, which keeps them up to date.

Every function draws into the current NiceGUI container. Whatever is shown again unchanged is not sent again.
"""

import asyncio
import logging
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict
from functools import cache, partial
from typing import Any

from dnaml.core.errors import DnamlError
from dnaml.dashboard.palette import Option
from dnaml.dashboard.reads import AccessEnded
from dnaml.dashboard.tables import Column, Row, told

LOGIN = "/login"  # below where the pages are mounted
EVERY_S = 2.0
_log = logging.getLogger(__name__)
_feeds: ContextVar[list["Feed"]] = ContextVar("dnaml_dashboard_feeds")
# Elements of NiceGUI are Any: its types are not needed to draw, and importing it is left to whoever draws.


class Feed:
    """Reads in a thread and draws in the event loop, now and every so many seconds."""

    def __init__(self, read: Callable[[], Any], draw: Callable[[Any], None], every_s: float | None) -> None:
        from nicegui import ui

        self._read, self._draw = read, draw
        self._busy = self._wanted = False
        with ui.element("div").classes("feed") as self._place:
            self._waits: Any = text("p", "Reading …", "waits")
        self._trouble: Any = None
        if every_s is not None:
            ui.timer(every_s, self.fill, immediate=False)

    async def again(self) -> None:
        """Read and draw anew because something else is wanted, after the reading that is under way."""
        self._wanted = self._busy
        await self.fill()

    async def fill(self) -> None:
        """Read once and draw what was read; while one reading is under way, the next is left out."""
        if self._busy:
            return
        self._busy = True
        try:
            await self._fill()
            while self._wanted:
                self._wanted = False
                await self._fill()
        finally:
            self._busy = False

    async def _fill(self) -> None:
        try:
            self._show(await asyncio.get_running_loop().run_in_executor(None, self._read))
        except AccessEnded:
            self._leave()
        except DnamlError as error:
            self._tell(str(error))

    def _show(self, found: Any) -> None:
        if self._place.is_deleted:
            return
        self._no_more_waiting()
        with self._place:
            if self._trouble is not None:
                self._trouble.delete()
                self._trouble = None
            self._draw(found)

    def _tell(self, words: str) -> None:
        if self._place.is_deleted:
            return
        self._no_more_waiting()
        if self._trouble is None:
            with self._place:
                self._trouble = text("p", "", "trouble").props("role=alert")
        self._trouble.text = words

    def _no_more_waiting(self) -> None:
        if self._waits is not None:
            self._waits.delete()
            self._waits = None

    def _leave(self) -> None:
        if not self._place.is_deleted:
            self._place.client.open(f"{LOGIN}?ended=1")


def live(read: Callable[[], Any], draw: Callable[[Any], None], every_s: float | None = EVERY_S) -> Feed:
    """Keep a part of the page up to date: `draw(read())` here, first before the page is sent where that is quick.

    `read` runs in a thread; `draw` builds what is missing the first time it is called, and later changes it. An error
    of ours is shown in its place; the end of the token leads to the login.
    """
    feed = Feed(read, draw, every_s)
    _feeds.get().append(feed)
    return feed


@contextmanager
def gathering() -> Iterator[list[Feed]]:
    """Collect the feeds that a page opens."""
    feeds: list[Feed] = []
    token = _feeds.set(feeds)
    try:
        yield feeds
    finally:
        _feeds.reset(token)


async def first(feeds: Sequence[Feed], patience_s: float) -> None:
    """Fill all feeds; those not done when patience ends go on in the background."""
    if feeds:
        tasks = [asyncio.ensure_future(feed.fill()) for feed in feeds]
        _running.update(tasks)
        for task in tasks:
            task.add_done_callback(_ended)
        await asyncio.wait(tasks, timeout=patience_s)


_running: set["asyncio.Future[None]"] = set()


def _ended(task: "asyncio.Future[None]") -> None:
    _running.discard(task)
    if not task.cancelled() and task.exception() is not None:
        _log.error("a part of a page could not be drawn", exc_info=task.exception())


# -- what is drawn ---------------------------------------------------------------------------------------------------


@contextmanager
def panel(title: str, about: str = "") -> Generator[None]:
    """Frame what is drawn inside, with a heading and a sentence."""
    from nicegui import ui

    with ui.element("section").classes("panel"):
        text("h2", title)
        if about:
            text("p", about, "about")
        yield


class Chart:
    """A chart that takes a new option at any time; `described` says in words what it shows."""

    def __init__(self, described: str, height: str = "20rem") -> None:
        from nicegui import ui

        self._shown: Option | None = None
        self.element: Any = ui.echart({"series": []}, renderer="svg").classes("chart").style(f"height: {height}")
        self.element.props["role"], self.element.props["aria-label"] = "img", described

    def show(self, option: Option, height: str = "") -> None:
        """Draw an option, unless it is the one that is shown."""
        if height:
            self.element.style(f"height: {height}")
        if option != self._shown:
            self._shown = option
            self.element.options.clear()
            self.element.options.update(option)
            self.element.update()


class Table:
    """A table that takes new rows at any time."""

    def __init__(self, columns: Sequence[Column], described: str) -> None:
        self._shown: list[dict[str, Any]] = []
        self.element: Any = _rows_table()()
        self.element.props["columns"] = [asdict(one) for one in columns]
        self.element.props["rows"], self.element.props["described"] = [], described

    def show(self, rows: Sequence[Row]) -> None:
        """Show rows, unless they are the ones that are shown."""
        wanted = told(rows)
        if wanted != self._shown:
            self._shown = wanted
            self.element.props["rows"] = wanted
            self.element.update()


class Tiles:
    """A row of figures with their names."""

    def __init__(self) -> None:
        from nicegui import ui

        self._place: Any = ui.element("dl").classes("tiles")
        self._labels: dict[str, Any] = {}

    def show(self, figures: Mapping[str, str]) -> None:
        """Show figures by their names; names must stay the same."""
        for name, figure in figures.items():
            if name not in self._labels:
                self._labels[name] = self._tile(name)
            if self._labels[name].text != figure:
                self._labels[name].text = figure

    def _tile(self, name: str) -> Any:
        from nicegui import ui

        with self._place, ui.element("div").classes("tile"):
            text("dt", name)
            return text("dd", "")


class Facts:
    """Names and what stands for them, one pair a line; takes new ones at any time."""

    def __init__(self) -> None:
        from nicegui import ui

        self._place: Any = ui.element("dl").classes("facts")
        self._shown: dict[str, str] = {}

    def show(self, facts: Mapping[str, str]) -> None:
        """Show facts, unless they are the ones that are shown."""
        if dict(facts) != self._shown:
            self._shown = dict(facts)
            self._place.clear()
            with self._place:
                for name, fact in facts.items():
                    text("dt", name)
                    text("dd", fact)


class Block:
    """Text of one width under a heading, which is there while there is text."""

    def __init__(self, title: str) -> None:
        self._title = text("h3", title)
        self._text = text("pre", "").props("tabindex=0")
        self._text.props["aria-label"] = title
        self.show("")

    def show(self, words: str) -> None:
        """Show text, or nothing at all."""
        self._title.set_visibility(bool(words))
        self._text.set_visibility(bool(words))
        if self._text.text != words:
            self._text.text = words


def empty(title: str, words: str, command: str = "") -> Any:
    """Say that there is nothing yet and what to type to change that; return the element."""
    from nicegui import ui

    with ui.element("div").classes("empty") as place:
        text("strong", title)
        text("p", words)
        if command:
            text("pre", command).props("tabindex=0")
    return place


class Pager:
    """Says which rows are shown of how many, and turns the page; `turn` gets the first row that is wanted."""

    def __init__(self, limit: int, turn: Callable[[int], Any]) -> None:
        from nicegui import ui

        self._limit, self._turn, self._first, self._total = limit, turn, 0, 0
        with ui.element("div").classes("controls"):
            self._back = text("button", "Previous").props("type=button").on("click", lambda: self._go(-1))
            self._on = text("button", "Next").props("type=button").on("click", lambda: self._go(1))
            self._words = text("span", "", "spread").props("aria-live=polite")

    def show(self, first: int, total: int) -> None:
        """Show where we are."""
        self._first, self._total = first, total
        last = min(first + self._limit, total)
        words = f"{first + 1:,}-{last:,} of {total:,}" if total else "none"
        if self._words.text != words:
            self._words.text = words
        for button, off in ((self._back, first <= 0), (self._on, last >= total)):
            if button.props.get("disabled", False) != off:
                button.props["disabled"] = off
                button.update()

    def _go(self, pages: int) -> Any:  # what NiceGUI awaits where it can be awaited
        wanted = self._first + pages * self._limit
        return self._turn(wanted) if 0 <= wanted < self._total else None


def search(label: str, found: Callable[[str], Any]) -> None:
    """Draw a field to search by; `found` gets its words a moment after they were typed."""
    from nicegui import ui

    field: Any = ui.element("input").props("type=search maxlength=100 autocomplete=off")
    field.props["placeholder"] = field.props["aria-label"] = label
    field.on(
        "input",
        lambda event: found(str(event.args)[:100]),  # what it returns is awaited
        js_handler="(event) => emit(event.target.value)",
        throttle=0.3,
        leading_events=False,
    )


class Choices:
    """A row of buttons of which one is pressed; labels may change, keys must not."""

    def __init__(self, described: str, chosen: str, choose: Callable[[str], Any]) -> None:
        from nicegui import ui

        self._place: Any = ui.element("div").classes("controls").props("role=group")
        self._place.props["aria-label"] = described
        self._chosen, self._choose = chosen, choose
        self._buttons: dict[str, Any] = {}

    def show(self, labels: Mapping[str, str]) -> None:
        """Show a button for each key."""
        for key, label in labels.items():
            if key not in self._buttons:
                with self._place:
                    button = text("button", label).props("type=button").on("click", partial(self._press, key))
                    button.props["aria-pressed"] = str(key == self._chosen).lower()
                    self._buttons[key] = button
            elif self._buttons[key].text != label:
                self._buttons[key].text = label

    def _press(self, key: str) -> Any:  # what NiceGUI awaits where it can be awaited
        self._chosen = key
        for other, button in self._buttons.items():
            button.props["aria-pressed"] = str(other == key).lower()
            button.update()
        return self._choose(key)


def caption(words: str) -> Any:
    """Say something in small below a chart or table; return the element, whose `text` can be set."""
    return text("p", words, "note")


def text(tag: str, words: str, classes: str = "") -> Any:
    """Write words in an element of a tag; return it, whose `text` can be set."""
    from nicegui.elements.mixins.text_element import TextElement

    return TextElement(text=words, tag=tag).classes(classes)


@cache
def _rows_table() -> Any:
    from nicegui.element import Element

    class RowsTable(Element, component="rows_table.js"):
        """The element behind `Table`."""

    return RowsTable
