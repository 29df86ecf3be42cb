"""Bodies read with care: bounded in depth before any parser sees them, and every fault of theirs a documented 4xx."""

import re
from typing import Any, TypeVar

import msgspec

from dnaml.rest.problems import Problem, one_line

T = TypeVar("T")
_NESTING = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)


def check_depth(body: bytes, most: int) -> None:
    """Raise a Problem with status 400 for JSON that is nested deeper than `most`."""
    if body.count(b"[") + body.count(b"{") <= most:
        return
    depth = 0
    for found in _NESTING.finditer(body):
        mark = found.group()[0]
        if mark in b"[{":
            depth += 1
            if depth > most:
                raise Problem(400, f"the body is nested deeper than {most} levels", kind="malformed")
        elif mark in b"]}":
            depth -= 1


def decode(body: bytes, kind: type[T], *, most_depth: int = 64) -> T:
    """Return a JSON body as a value of a type; a Problem says what is wrong: 400 for no JSON, 422 for other JSON."""
    if not body:
        raise Problem(400, "a JSON body must be given", kind="malformed")
    check_depth(body, most_depth)
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise Problem(422, one_line(str(error)), kind="invalid") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Problem(400, f"the body must be JSON: {one_line(str(error))}", kind="malformed") from None


def decode_object(body: bytes, *, most_depth: int = 64) -> dict[str, Any]:  # JSON values
    """Return a JSON body that must be an object."""
    return decode(body, dict[str, Any], most_depth=most_depth)
