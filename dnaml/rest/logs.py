"""Structured logs: one JSON object a line on standard error; control codes escaped, tokens blotted out."""

import json
import logging
import re
import sys
import traceback

_SECRETS = (
    (re.compile(r"dnaml_[0-9a-f]{8}_[0-9a-fA-F]+"), "dnaml_***"),
    (re.compile(r"(?i)(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}"), r"\1 ***"),
    (re.compile(r"(?i)((?:token|password|secret|api_?key|authorization)[\"']?\s*[=:]\s*[\"']?)[^\s\"'&,;]+"), r"\1***"),
    (re.compile(r"(?i)([a-z][a-z0-9+.-]*://[^/\s:@]+:)[^@\s/]+@"), r"\1***@"),
)
_MOST = 8_000


class JsonLines(logging.Formatter):
    """Writes a record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        values = {
            "at_s": round(record.created, 3),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": redacted(record.getMessage())[:_MOST],
        }
        if record.exc_info:
            values["error"] = redacted("".join(traceback.format_exception(*record.exc_info)))[-_MOST:]
        return json.dumps(values)  # JSON escapes every control code


def redacted(text: str) -> str:
    """Return text with whatever looks like a secret blotted out."""
    for pattern, shown in _SECRETS:
        text = pattern.sub(shown, text)
    return text


def install_logs(level: int = logging.INFO) -> None:
    """Send every log of this process to standard error as JSON lines."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
