"""`dnaml token`: made once, listed without its secret, revoked by name."""

import json
from pathlib import Path

import pytest

from dnaml.cli.main import main
from dnaml.rest.auth import Scope, Tokens


def test_a_token_is_created_listed_and_revoked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    at = ["--state", str(tmp_path), "--json"]
    assert main(["token", "create", "ci", "--tenant", "team-a", "--scope", "admin", "--lasts", "1h", *at]) == 0
    token = json.loads(capsys.readouterr().out)["token"]
    tokens = Tokens(tmp_path / "tokens.json")
    caller = tokens.caller(token, 0.0)
    assert caller is not None
    assert (caller.tenant, caller.scope) == ("team-a", Scope.ADMIN)
    assert main(["token", "ls", *at]) == 0
    told = capsys.readouterr().out
    assert token.rpartition("_")[2] not in told
    assert json.loads(told)[0]["name"] == "ci"
    assert main(["token", "revoke", "ci", *at]) == 0
    assert tokens.caller(token, 0.0) is None
    assert main(["token", "revoke", "ci", *at]) == 2


def test_names_that_would_be_read_otherwise_are_refused(tmp_path: Path) -> None:
    for name in ("", "a b", "a\nb", "../x", "x" * 65):
        assert main(["token", "create", "--state", str(tmp_path), "--", name]) == 2
    assert main(["token", "create", "x", "--lasts", "never", "--state", str(tmp_path)]) == 2
