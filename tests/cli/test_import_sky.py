"""`dnaml import sky` writes a job file that can be submitted, and never over another one unasked."""

import json

from dnaml.cli.main import main


def test_a_task_is_written_as_a_job_file_with_its_losses_named(tmp_path, capsys):
    task, out, pool = tmp_path / "task.yaml", tmp_path / "dnaml.yaml", tmp_path / "pool.toml"
    pool.write_text('[resources.here]\nkind = "cpu"\nspec = { cores = 2 }\n')  # declared, so that no probe runs
    assert main(["--state", str(tmp_path / "state"), "resources", "add", str(pool)]) == 0
    task.write_text("run: echo hello\nresources: {cpus: 1+, disk_size: 100}\n")
    assert main(["import", "sky", str(task), "--out", str(out)]) == 0
    assert out.read_text() == "run: echo hello\nresources:\n  cpus: 1+\n"
    assert "resources.disk_size" in capsys.readouterr().err
    assert main(["import", "sky", str(task), "--out", str(out)]) == 2
    assert "--force replaces it" in capsys.readouterr().err
    assert main(["import", "sky", str(task), "--out", str(out), "--force"]) == 0
    assert main(["--state", str(tmp_path / "state"), "submit", str(out), "--dry-run", "--json"]) == 0


def test_without_a_file_it_is_printed(tmp_path, capsys):
    task = tmp_path / "task.yaml"
    task.write_text("run: echo hello\n")
    assert main(["import", "sky", str(task), "--quiet"]) == 0
    assert capsys.readouterr().out == "run: echo hello\n"


def test_json_holds_document_and_notes(tmp_path, capsys):
    task = tmp_path / "task.yaml"
    task.write_text("run: echo hello\nnum_nodes: 4\n")
    assert main(["import", "sky", str(task), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["document"] == {"run": "echo hello"}
    assert [one["loss"] for one in told["notes"]] == ["lost"]


def test_strict_refuses_a_loss_and_an_unwritable_place_is_named(tmp_path, capsys):
    task = tmp_path / "task.yaml"
    task.write_text("run: echo hello\nnum_nodes: 4\n")
    assert main(["import", "sky", str(task), "--strict"]) == 2
    assert "num_nodes" in capsys.readouterr().err
    assert main(["import", "sky", str(task), "--out", str(tmp_path / "no" / "x.yaml")]) == 2
    assert "cannot be written" in capsys.readouterr().err
