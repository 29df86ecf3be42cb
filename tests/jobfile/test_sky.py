"""A SkyPilot task becomes the nearest job file; every field that is lost or changed is named, unknown ones too."""

import pytest

from dnaml.core.errors import InputError
from dnaml.jobfile import JobFile
from dnaml.jobfile.sky import Loss, imported, read_task

TASK = """
name: train
num_nodes: 2
resources:
  infra: aws/us-east-1
  accelerators: {A100: 8}
  cpus: 4+
  memory: 32+
  use_spot: true
  disk_size: 256
  max_hourly_cost: 10.0
  job_recovery: {strategy: EAGER_NEXT_REGION, max_restarts_on_errors: 3}
envs: {DATA: s3://bucket, VERSION: 007, NEEDED: }
secrets: {TOKEN: null}
file_mounts:
  /data: ./local
  /checkpoints: {source: s3://bucket, mode: MOUNT}
setup: |
  pip install -r requirements.txt
run: |
  python train.py --epochs 3
  echo done
"""


def losses(found):
    return {one.field: one.loss for one in found.notes}


def test_a_whole_task_becomes_a_valid_job_file(tmp_path):
    file = tmp_path / "task.yaml"
    file.write_text(TASK)
    (tmp_path / "local").mkdir()
    found = read_task(file)
    written = tmp_path / "dnaml.yaml"
    written.write_text(found.text())
    job = JobFile.read(written)
    wishes = job.document.resources
    assert (job.name, wishes.infra, wishes.use_spot) == ("train", "aws/us-east-1", True)
    assert wishes.accelerator_choices() == (("A100", 8),)
    assert job.document.constraints.max_hourly_cost == 10.0
    assert job.resilience().max_restarts == 3
    assert job.document.envs == {"DATA": "s3://bucket", "VERSION": "007", "NEEDED": None}
    assert job.document.secrets == {"TOKEN": None}
    assert job.document.inputs == ["./local"]
    shell, option, script = job.argv
    assert (shell, option) == ("bash", "-c")
    assert script.splitlines() == [
        "set -e",
        "pip install -r requirements.txt",
        "set +e",
        "python train.py --epochs 3",
        "echo done",
    ]


def test_what_is_lost_or_changed_is_named(tmp_path):
    file = tmp_path / "task.yaml"
    file.write_text(TASK)
    assert losses(read_task(file)) == {
        "num_nodes": Loss.LOST,
        "resources.disk_size": Loss.LOST,
        "setup": Loss.CHANGED,
        "file_mounts./data": Loss.CHANGED,
        "file_mounts./checkpoints": Loss.LOST,
    }


def test_a_plain_command_stays_one_and_runs_without_a_shell():
    found = imported({"run": "python train.py --epochs 3\n"})
    assert found.document["run"] == "python train.py --epochs 3"
    assert not found.notes


@pytest.mark.parametrize("script", ["a | b", "X=1 python a.py", "echo $HOME", "ls *.py", "a && b", "cd x\npython y"])
def test_a_script_is_given_to_bash(script):
    assert imported({"run": script}).document["run"] == ["bash", "-c", script]


def test_unknown_fields_are_named_at_both_levels():
    found = imported({"run": "true", "nodes": 3, "resources": {"gpus": 1, "ports": 80}})
    assert losses(found) == {"nodes": Loss.UNKNOWN, "resources.gpus": Loss.UNKNOWN, "resources.ports": Loss.LOST}
    assert found.document == {"run": "true"}


def test_alternatives_that_differ_in_accelerators_become_a_list():
    choices = [{"accelerators": "H100"}, {"accelerators": {"A100": 2}}]
    found = imported({"run": "true", "resources": {"infra": "gcp", "ordered": choices}})
    assert found.document["resources"] == {"accelerators": ["H100", "A100:2"], "infra": "gcp"}
    assert losses(found) == {"resources.ordered": Loss.CHANGED}


def test_of_other_alternatives_the_first_is_kept():
    choices = [{"infra": "aws/us-west-2"}, {"infra": "gcp"}]
    found = imported({"run": "true", "resources": {"any_of": choices}})
    assert found.document["resources"] == {"infra": "aws/us-west-2"}
    assert losses(found) == {"resources.any_of": Loss.LOST}


@pytest.mark.parametrize(
    ("given", "kept", "lost"),
    [
        ({"cloud": "aws", "region": "us-east-1", "zone": "us-east-1a"}, {"infra": "aws/us-east-1"}, "zone"),
        ({"region": "us-east-1"}, {}, "region"),
        ({"infra": "*/us-east-1"}, {}, "region"),
        ({"memory": "2x"}, {}, "memory"),
        ({"labels": {"team": "a"}}, {}, "labels"),
    ],
)
def test_what_cannot_be_said_here_is_left_out(given, kept, lost):
    found = imported({"run": "true", "resources": given})
    assert found.document.get("resources", {}) == kept
    assert losses(found) == {f"resources.{lost}": Loss.LOST}


def test_a_part_of_an_accelerator_counts_as_whole():
    found = imported({"run": "true", "resources": {"accelerators": "H100:0.5"}})
    assert found.document["resources"] == {"accelerators": "H100:1"}
    assert losses(found) == {"resources.accelerators": Loss.CHANGED}


@pytest.mark.parametrize(("given", "kept"), [("none", None), ("FAILOVER", "FAILOVER"), ("failover", "FAILOVER")])
def test_a_known_way_of_recovery_comes_over(given, kept):
    found = imported({"run": "true", "resources": {"job_recovery": given}})
    assert found.document.get("resilience", {}).get("job_recovery") == kept
    assert not found.notes


def test_unknown_ways_of_recovery_are_named():
    found = imported({"run": "true", "resources": {"job_recovery": {"strategy": "HOPE", "recover_on_exit_codes": [3]}}})
    assert set(losses(found)) == {"resources.job_recovery", "resources.job_recovery.recover_on_exit_codes"}


def test_a_repository_as_folder_is_lost_and_a_relative_folder_starts_elsewhere():
    assert losses(imported({"run": "true", "workdir": {"url": "x"}})) == {"workdir": Loss.LOST}
    assert losses(imported({"run": "true", "workdir": "code"})) == {"workdir": Loss.CHANGED}
    assert losses(imported({"run": "true", "workdir": "/code"})) == {}


@pytest.mark.parametrize(
    ("task", "told"),
    [
        ({}, "must be a script, got nothing"),
        ({"run": ["a"]}, "got list"),
        ({"run": "true", "resources": []}, None),
        ({"run": "true", "resources": [1]}, "resources: must hold keys"),
        ({"run": "true", "envs": ["A"]}, "envs: must hold names"),
        ({"run": "true", "resources": {"max_hourly_cost": -1}}, "max_hourly_cost"),
    ],
)
def test_what_is_no_task_is_refused_with_the_reason(task, told):
    if told is None:
        assert imported(task).document == {"run": "true"}
    else:
        with pytest.raises(InputError, match=told):
            imported(task)


def test_files_that_are_no_task_are_refused(tmp_path):
    file = tmp_path / "task.yaml"
    for body, told in ((b"- a\n", "got list"), (b"\xff", "UTF-8"), (b"run: a\n---\nrun: b\n", "another document")):
        file.write_bytes(body)
        with pytest.raises(InputError, match=told):
            read_task(file)
    with pytest.raises(InputError, match="cannot be read"):
        read_task(tmp_path / "none.yaml")
