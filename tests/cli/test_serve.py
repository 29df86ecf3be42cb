"""`dnaml serve` refuses what would be open to strangers before it listens; the running service has tests/rest."""

from pathlib import Path

import pytest

from dnaml.cli.main import main


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--host", "0.0.0.0", "--insecure"], "dnaml token create"),
        (["--require-token"], "dnaml token create"),
        (["--tls-cert", "c.pem"], "both or none"),
        (["--root", "/nonexistent/folder"], "no such folder"),
        (["--resources", "/nonexistent/pool.toml"], "cannot be read"),
        (["--engine", "moon"], "engine"),
    ],
)
def test_what_may_not_be_served_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], why: str
) -> None:
    assert main(["serve", "--state", str(tmp_path / "state"), "--port", "0", *words]) == 2
    assert why in capsys.readouterr().err
