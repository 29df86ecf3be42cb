"""Logs are one line of JSON each, with nothing secret and nothing that a terminal would obey."""

import json
import logging

import pytest

from dnaml.rest.logs import JsonLines, redacted


def record(message: str) -> str:
    made = logging.LogRecord("dnaml.x", logging.WARNING, __file__, 1, message, None, None)
    return JsonLines().format(made)


def test_control_codes_are_escaped_and_a_record_is_one_line() -> None:
    line = record("first\nsecond \x1b[31mred\x1b[0m \r\x07")
    assert "\n" not in line
    assert "\x1b" not in line
    assert json.loads(line)["message"].startswith("first\nsecond")


@pytest.mark.parametrize(
    "text",
    [
        "dnaml_0a1b2c3d_" + "5ec2e7" * 10,
        "Authorization: Bearer 5ec2e75ec2e7",
        "token=5ec2e75ec2e7",
        'password": "5ec2e7"',
        "postgresql://user:5ec2e7@host/db",
    ],
)
def test_secrets_are_blotted_out(text: str) -> None:
    assert "5ec2e7" not in redacted(text)
    assert "5ec2e7" not in record(text)
