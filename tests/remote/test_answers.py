"""What answers mean: values, errors, and when to come back."""

import time
from email.utils import formatdate

import pytest

from dnaml.core.errors import DnamlError, InputError, NotFoundError, RepeatedKeyError
from dnaml.remote.answers import (
    AccessRefused,
    Conflict,
    Patience,
    check_url,
    headers_of,
    problem,
    read,
    retry_after_s,
)

URL = "http://h"


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (401, b'{"type": "urn:dnaml:problem:unauthorized", "detail": "no"}', AccessRefused),
        (403, b'{"type": "urn:dnaml:problem:scope", "detail": "no"}', AccessRefused),
        (403, b'{"type": "urn:dnaml:problem:not-allowed", "detail": "no"}', InputError),
        (404, b'{"type": "x", "detail": "no"}', NotFoundError),
        (409, b'{"type": "urn:dnaml:problem:idempotency-key", "detail": "no"}', RepeatedKeyError),
        (409, b'{"type": "urn:dnaml:problem:conflict", "detail": "no"}', Conflict),
        (422, b'{"type": "x", "title": "no"}', InputError),
        (500, b'{"type": "x", "detail": "no"}', DnamlError),
    ],
)
def test_each_problem_is_an_error_with_the_words_of_the_service(
    status: int, body: bytes, kind: type[Exception]
) -> None:
    with pytest.raises(kind, match="no") as caught:
        read(status, body, URL)
    assert type(caught.value) is kind


@pytest.mark.parametrize("body", [b"<html>", b"[1]", b'"x"', b"\xff", b""])
def test_an_error_page_of_something_else_is_told_by_its_status(body: bytes) -> None:
    assert problem(body) == ("", "")
    with pytest.raises(DnamlError, match="status 500"):
        read(500, body, URL)


def test_an_answer_is_its_json() -> None:
    assert read(200, b'{"a": 1}', URL) == {"a": 1}
    assert read(204, b"", URL) is None


def test_the_time_to_come_back_is_a_number_or_a_date() -> None:
    assert retry_after_s({"Retry-After": "7"}) == 7
    assert 50 < retry_after_s({"Retry-After": formatdate(time.time() + 60, usegmt=True)}) <= 61
    assert retry_after_s({"Retry-After": formatdate(0, usegmt=True)}) == 0
    assert retry_after_s({"Retry-After": "soon"}) == retry_after_s({}) == 0


def test_patience_ends_and_pauses_as_long_as_asked_for() -> None:
    patience = Patience(3.0)
    assert patience.pause_s(2.0) == 2.0
    assert patience.pause_s(60.0) is None
    first, later = Patience(1e6), Patience(1e6)
    assert (first.pause_s() or 9) <= 0.1
    assert max(later.pause_s() or 0 for _ in range(20)) > 2


@pytest.mark.parametrize("token", ["a b", "a\n", "ö", "", "x" * 5000])
def test_a_token_that_no_header_can_carry_is_refused_and_not_shown(token: str) -> None:
    with pytest.raises(InputError) as caught:
        headers_of(token)
    assert str(caught.value) == "token: must be printable ASCII without spaces"


def test_an_address_is_one_of_the_web() -> None:
    assert check_url("https://h:1/") == "https://h:1"
    with pytest.raises(InputError, match="http://"):
        check_url("ftp://h")
