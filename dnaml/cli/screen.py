"""What a verb writes with: the answer on standard output (a table, or JSON), notes and progress on standard error.

A reader who leaves early (`dnaml status | head`) ends the printing, never the work.
"""

import contextlib
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Timer
from time import monotonic
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table

_PATIENCE_S = 2.0
_PIPE_WIDTH = 160  # columns for a table that goes into a file or pipe


@dataclass(frozen=True, slots=True, kw_only=True)
class Screen:
    """The standard options of every verb, and how it answers."""

    as_json: bool
    quiet: bool
    state: Path

    # An answer is any value that msgspec can write: dataclasses, mappings, numbers, arrays.
    def answer(self, value: Any, *shown: "RenderableType") -> None:
        """Print `value` as JSON if that was asked for, else what is `shown` to people."""
        if self.as_json:
            self.line(to_json(value))
            return
        console = self._console()
        with console.capture() as captured:  # rich itself would end the process when the reader has left
            for one in shown:
                console.print(one)
        self._write(captured.get())

    def line(self, text: str) -> None:
        """Print one line on standard output at once."""
        self._write(f"{text}\n")

    def _write(self, text: str) -> None:
        with reader_may_leave():
            sys.stdout.write(text)
            sys.stdout.flush()

    def note(self, text: str) -> None:
        """Say something beside the answer, on standard error, unless --quiet."""
        if not self.quiet:
            with contextlib.suppress(BrokenPipeError):
                sys.stderr.write(f"{text}\n")
                sys.stderr.flush()

    @contextlib.contextmanager
    def working(self, what: str) -> Iterator[None]:
        """Show that something takes its time: a moving line on a terminal, elsewhere a line after 2 s."""
        if self.quiet:
            yield
        elif sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

            columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
            with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
                progress.add_task(what, total=None)
                yield
        else:
            began_s = monotonic()
            late = Timer(_PATIENCE_S, self.note, (f"{what} ...",))
            late.daemon = True
            late.start()
            try:
                yield
            finally:
                late.cancel()
            if monotonic() - began_s > _PATIENCE_S:
                self.note(f"{what}: done in {monotonic() - began_s:.1f} s")

    def _console(self) -> "Console":
        from rich.console import Console

        width = None if sys.stdout.isatty() else _PIPE_WIDTH
        return Console(file=sys.stdout, width=width, highlight=False, markup=False)


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> "Table":
    """Return a table; '>' before a column's name puts it to the right, '?' lets a narrow terminal leave it out."""
    from dnaml.cli.fitted import Fitted

    return Fitted(title, columns, [[str(cell) for cell in row] for row in rows])


def to_json(value: Any) -> str:  # see Screen.answer
    """Return indented JSON; NaN and infinity become null, paths and numpy values their plain form."""
    import msgspec

    return msgspec.json.format(msgspec.json.encode(value, enc_hook=_plain), indent=2).decode()


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    return str(value)


@contextlib.contextmanager
def reader_may_leave() -> Iterator[None]:
    """Print inside; when the reader has left, standard output is pointed at nothing and the work goes on."""
    try:
        yield
    except BrokenPipeError:
        import os

        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
