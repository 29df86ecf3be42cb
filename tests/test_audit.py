"""The audit of packages: without a network it names what it could not ask about, and fails unless told to tell."""

import subprocess
import sys
from pathlib import Path

import pytest

AUDIT = Path(__file__).parents[1] / ".ci" / "audit"


@pytest.mark.parametrize(("words", "code"), [((), 1), (("--tell",), 0)])
def test_packages_that_were_not_asked_about_are_named(words: tuple[str, ...], code: int) -> None:
    nowhere = {"HTTPS_PROXY": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9", "PATH": "/usr/bin:/bin"}
    command = [sys.executable, str(AUDIT), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=nowhere)
    assert done.returncode == code, done.stderr
    assert "not audited: " in done.stderr
    assert "numpy" in done.stderr or "more" in done.stderr
