"""The command line as it was promised: each verb is there, its example can be typed, and a test runs it for real."""

import re
import shlex
from pathlib import Path

import pytest

from dnaml.cli.main import load_verb, main

ROOT = Path(__file__).parents[2]
READING, JOBS, REMOTE = "tests/cli/test_reading.py", "tests/e2e/test_cli_jobs.py", "tests/cli/test_remote.py"
SURFACE = {
    "check": "tests/cli/test_check.py",
    "probe": "tests/e2e/test_cli_first_run.py",
    "resources ls": "tests/cli/test_resources.py",
    "resources add": "tests/cli/test_resources.py",
    "resources rm": "tests/cli/test_resources.py",
    "prices ls": "tests/cli/test_prices.py",
    "prices find": "tests/cli/test_prices.py",
    "prices import": "tests/cli/test_prices.py",
    "fingerprint": JOBS,
    "predict": JOBS,
    "match": JOBS,
    "submit": JOBS,
    "status": READING,
    "queue": READING,
    "logs": READING,
    "cancel": JOBS,
    "explain": READING,
    "repeat": JOBS,
    "migrate": "tests/e2e/test_migrate_live.py",
    "telemetry export": JOBS,
    "train": "tests/cli/test_train.py",
    "evaluate": "tests/cli/test_train.py",
    "simulate": "tests/cli/test_simulate.py",
    "serve": "tests/rest/test_server.py",
    "top": "tests/cli/test_top.py",
    "demo": "tests/demo/test_main.py",
    "journal verify": READING,
    "journal backup": "tests/cli/test_journal.py",
    "journal restore": "tests/cli/test_journal.py",
    "token create": "tests/cli/test_token.py",
    "token ls": "tests/cli/test_token.py",
    "token revoke": "tests/cli/test_token.py",
    "mlflow ui": "tests/cli/test_mlflow.py",
    "import sky": "tests/cli/test_import_sky.py",
}
"""verb -> the module of tests that runs it for real; what was promised is never taken out"""

CALLED = {"demo": "run(seed="}
"""verbs whose test calls what the verb calls: at a smaller scale than can be typed"""

OVER_A_SERVICE = {
    "submit", "status", "queue", "top", "logs", "cancel", "explain", "repeat", "migrate", "resources ls",
    "resources add", "resources rm", "probe", "prices ls", "prices find", "predict", "match", "train",
    "telemetry export",
}  # fmt: skip


def command(verb):
    """Give the command of a verb."""
    name, *rest = verb.split()
    found = load_verb(name)
    return found.commands[rest[0]] if rest else found


def options(verb):
    return {option for parameter in command(verb).params for option in parameter.opts}


@pytest.mark.parametrize("verb", SURFACE)
def test_a_promised_verb_is_there_with_help_json_and_an_example_that_can_be_typed(verb, capsys):
    assert main([*verb.split(), "--help"]) == 0
    shown = capsys.readouterr().out
    assert "--json" in shown
    assert "Example: dnaml" in shown
    examples = command(verb).epilog.removeprefix("Example: ").split("   or   ")
    for example in examples:
        program, *words = shlex.split(example)
        assert (program, words[: len(verb.split())]) == ("dnaml", verb.split())
        given = words[len(verb.split()) :]
        context = command(verb).make_context(verb, given)  # raises what typing it would complain about
        assert context.params


@pytest.mark.parametrize("verb", SURFACE)
def test_a_module_of_tests_runs_the_verb(verb):
    text = (ROOT / SURFACE[verb]).read_text()
    first, *rest = verb.split()
    typed = re.search(rf'["\']{first}["\']', text) or f"dnaml {verb}" in text
    assert typed or CALLED.get(verb, "nothing") in text, f"{SURFACE[verb]} does not run {verb}"
    assert all(re.search(rf'["\']{word}["\']', text) for word in rest)


@pytest.mark.parametrize("verb", SURFACE)
def test_what_a_service_can_answer_takes_its_address(verb):
    assert ({"--url", "--timeout"} <= options(verb)) == (verb in OVER_A_SERVICE)
    assert "--token" not in options(verb)  # other users of a machine see what was typed


@pytest.mark.parametrize("verb", sorted(OVER_A_SERVICE - {"top"}))
def test_what_a_service_answers_is_tested_against_a_real_one(verb):
    text = (ROOT / REMOTE).read_text()
    assert all(f'"{word}"' in text for word in verb.split())


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_complete_verbs_and_options(shell, monkeypatch, capsys):
    typed = "dnaml sta"
    monkeypatch.setenv("_DNAML_COMPLETE", f"complete_{shell}")
    monkeypatch.setenv("COMP_WORDS", typed)
    monkeypatch.setenv("COMP_CWORD", "1")
    monkeypatch.setenv("_TYPER_COMPLETE_ARGS", typed)
    monkeypatch.setenv("_TYPER_COMPLETE_FISH_ACTION", "get-args")
    with pytest.raises(SystemExit) as end:
        main(["sta"])
    assert end.value.code == 0
    assert "status" in capsys.readouterr().out
