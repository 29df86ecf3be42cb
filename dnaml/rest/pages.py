"""Cursor pages: a cursor is opaque, names a place that does not move when jobs are added, and fits one list only."""

import base64
import binascii
from collections.abc import Sequence
from typing import Generic, TypeVar

import msgspec

from dnaml.rest.problems import Problem

T = TypeVar("T")


class Page(msgspec.Struct, Generic[T], kw_only=True):
    """One page of a list; `next` is the cursor of the following page, null at the end."""

    items: list[T]
    next: str | None = None


def cursor(of: str, place: int) -> str:
    """Return a cursor for a place in a list."""
    return base64.urlsafe_b64encode(f"{of}:{place}".encode()).decode().rstrip("=")


def place(of: str, written: str | None, default: int) -> int:
    """Return the place that a cursor names; a Problem with status 400 for one that is not of this list."""
    if written is None:
        return default
    try:
        text = base64.urlsafe_b64decode(written + "=" * (-len(written) % 4)).decode("ascii")
        of_list, _, number = text.rpartition(":")
        found = int(number) if number.isdigit() and len(number) < 19 else -1
    except (ValueError, binascii.Error, UnicodeError):
        of_list, found = "", -1
    if of_list != of or found < 0:
        raise Problem(400, f"cursor: is not one of this list: {written[:80]!r}", kind="malformed")
    return found


def page_of(of: str, items: Sequence[T], written: str | None, limit: int) -> tuple[Sequence[T], str | None]:
    """Return a page of a sequence in its own order, and the next cursor."""
    first = place(of, written, 0)
    shown = items[first : first + limit]
    more = first + limit < len(items)
    return shown, cursor(of, first + limit) if more else None
