"""`dnaml check` looks and writes nothing."""

import json

from dnaml.cli.main import main


def findings(capsys, *arguments):
    code = main(["check", "--json", *arguments])
    answer = json.loads(capsys.readouterr().out)
    return code, answer["ok"], {one["what"]: one for one in answer["findings"]}


def test_a_whole_installation_is_ready_and_nothing_is_written(tmp_path, capsys):
    code, ok, found = findings(capsys, "--state", str(tmp_path / "state"))
    assert (code, ok) == (0, True)
    assert found["torch"]["verdict"] == "ok"
    assert found["processor"]["detail"]
    assert "made when it is needed" in found["state folder"]["detail"]
    assert not (tmp_path / "state").exists()


def test_a_state_folder_that_is_a_file_is_a_problem(tmp_path, capsys):
    (tmp_path / "state").write_text("")
    code, ok, found = findings(capsys, "--state", str(tmp_path / "state"))
    assert (code, ok) == (1, False)
    assert found["state folder"]["verdict"] == "problem"


def test_people_get_a_table_and_a_next_step(tmp_path, capsys):
    assert main(["check", "--state", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "next: dnaml demo" in out
    assert "extra ray" in out
