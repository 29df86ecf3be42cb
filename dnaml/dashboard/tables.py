"""Tables as plain values: columns, and rows of cells; a component of the page draws them and keeps the focus."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import quote


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column: its title, and whether it holds numbers (set flush right, with figures of one width)."""

    title: str
    numeric: bool = False
    wide: bool = False
    """its text may be long and is broken into lines"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One cell: text; where it leads; a tone that colours it as a tag; a note in small; a bar that fills a share.

    A moment is written by the browser, in the reader's own time zone.
    """

    text: str = ""
    at_s: float | None = None
    href: str = ""
    tone: str = ""
    note: str = ""
    share: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row; `key` tells it from the others as they change, `strong` sets it apart."""

    key: str
    cells: Sequence[Cell]
    strong: bool = False


def told(rows: Sequence[Row]) -> list[dict[str, Any]]:  # JSON values
    """Return rows as the component takes them; what is not set is left out."""
    return [
        {
            "key": row.key,
            "strong": row.strong,
            "cells": [{k: v for k, v in asdict(cell).items() if v not in ("", None)} for cell in row.cells],
        }
        for row in rows
    ]


def job_link(job_id: str) -> str:
    """Return where a job's page is."""
    return f"/ui/jobs/{quote(job_id, safe='')}"
