"""`dnaml top`: the pool, what runs and waits, cost and what is degraded, live in the terminal until Ctrl-C."""

import signal
import sys
import time
from collections.abc import Callable
from typing import Annotated

import typer

from dnaml.cli.overview import Overview, Watched
from dnaml.cli.screen import Screen
from dnaml.cli.top_screen import shown
from dnaml.cli.verbs import alone, verb

app = alone()
LINES = 40  # of one look that is not on a terminal
_REST = 2.0  # times the CPU time of a look is rested before the next one, so that watching a long journal is cheap

Every = Annotated[float, typer.Option("--every", min=0.1, help="Seconds between two looks.")]
Once = Annotated[bool, typer.Option("--once", help="Look once, print, and end.")]


@verb(app, example="dnaml top", over="top:top")
def top(screen: Screen, every: Every = 1.0, once: Once = False) -> None:
    """Watch the pool and its jobs live; it only reads, beside whatever engine runs."""
    watch(screen, Watched(screen.state).look, every_s=every, once=once)


def watch(screen: Screen, look: Callable[[], Overview], *, every_s: float, once: bool) -> None:
    """Show look after look on a terminal until interrupted; elsewhere, or once, a single one."""
    if once or screen.as_json or not sys.stdout.isatty():
        now = look()
        screen.answer(now, *shown(now, LINES))
        return
    from rich.console import Console, Group
    from rich.live import Live

    console = Console(highlight=False, markup=False)
    # SIGTERM ends it as Ctrl-C does, so that the terminal is left as it was.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with Live(console=console, screen=True, auto_refresh=False, vertical_overflow="crop") as live:
            while True:
                began_s, used_s = time.monotonic(), time.process_time()
                now = look()
                live.update(Group(*shown(now, console.height)), refresh=True)
                left_s = every_s - (time.monotonic() - began_s)
                time.sleep(max(left_s, _REST * (time.process_time() - used_s)))
    finally:
        signal.signal(signal.SIGTERM, before)
