"""Tables as plain values: columns, and rows of cells; a component of the page draws them and keeps the focus."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import quote

from dnaml.answers import amounts


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


def money(value_usd: float | None) -> str:
    """Write money so that a column of it can be compared: two digits after the point, more for what is small.

    >>> money(0.2), money(1234.5), money(0.00123), money(4e-8), money(0.0), money(None)
    ('$0.20', '$1,234.50', '$0.0012', '<$0.0001', '$0.00', '-')
    """
    if value_usd is None or not math.isfinite(value_usd):
        return amounts.UNKNOWN
    if 0 < value_usd < 1e-4:
        return "<$0.0001"
    return f"${value_usd:,.2f}" if value_usd == 0 or value_usd >= 0.1 else f"${value_usd:.4f}"


def job_link(job_id: str) -> str:
    """Return where a job's page is."""
    return f"/ui/jobs/{quote(job_id, safe='')}"
