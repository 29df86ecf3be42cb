"""Tables on narrow terminals: identifiers stay whole, what matters least is left out and named."""

import io

from rich.console import Console

from dnaml.cli.fitted import Fitted

NAMES = ("id", "?resource", "??>cost", "error")
ROWS = [("506fb08d-1", "local", "0.25 USD", "python ended with exit code 7, as it always did before")]


def drawn(width, *, terminal=True):
    file = io.StringIO()
    Console(file=file, width=width, force_terminal=terminal, color_system=None).print(Fitted("", NAMES, ROWS))
    return file.getvalue()


def test_a_wide_terminal_shows_every_column_and_leaves_nothing_to_tell():
    text = drawn(120)
    assert "0.25 USD" in text
    assert "too narrow" not in text


def test_columns_with_the_most_marks_go_first_and_are_named():
    text = drawn(52)
    assert "local" in text
    assert "0.25 USD" not in text
    assert "too narrow for cost; --json has all" in text


def test_no_width_breaks_an_identifier_or_draws_over_the_edge():
    for width in range(36, 120):
        text = drawn(width)
        assert "506fb08d-1" in text
        assert max(len(line) for line in text.splitlines()) <= width


def test_nothing_is_left_out_of_a_file_or_pipe():
    assert "too narrow" not in drawn(52, terminal=False)
