"""A table for the width there is: on a narrow terminal it leaves out what matters least and breaks no identifier.

Into a file or a pipe everything is written.
"""

from collections.abc import Sequence

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

_WHOLE = 20  # cells up to so wide are never broken
_FOLDED = 16  # the least width of a column of longer ones
_GAP = 3  # between two columns
_EDGES = 2


class Fitted(Table):
    """A table whose columns named '?...' may be left out; those with the most marks go first, of equals the last."""

    def __init__(self, title: str, names: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        super().__init__(title=title or None, title_justify="left", caption_justify="left", box=box.SIMPLE_HEAD)
        self.pad_edge = False
        self._marks: list[int] = []
        for place, name in enumerate(names):
            plain = name.lstrip("?")
            self._marks.append(len(name) - len(plain))
            header = plain.removeprefix(">")
            natural = max(cell_len(text) for text in (header, *(row[place] for row in rows)))
            self.add_column(
                header,
                justify="right" if plain != header else "left",
                overflow="fold",
                min_width=natural if natural <= _WHOLE else _FOLDED,
            )
        for row in rows:
            self.add_row(*(Text(cell) for cell in row))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw what fits on a terminal and name what was left out."""
        if console.is_terminal:
            self._leave_out(options.max_width)
        yield from super().__rich_console__(console, options)

    def _leave_out(self, width: int) -> None:
        kept = list(range(len(self.columns)))
        optional = sorted(
            (place for place in kept if self._marks[place]), key=lambda place: (self._marks[place], place)
        )
        while optional and sum((self.columns[place].min_width or 0) + _GAP for place in kept) > width - _EDGES:
            kept.remove(optional.pop())
        left = [str(column.header) for place, column in enumerate(self.columns) if place not in kept]
        self.columns = [self.columns[place] for place in kept]
        self._marks = [self._marks[place] for place in kept]
        if left:
            self.caption = f"too narrow for {', '.join(left)}; --json has all"
