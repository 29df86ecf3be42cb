"""The job file as a whole: core values out, one clear line for each mistake in."""

import json
from pathlib import Path

import pytest

from dnaml.core.errors import InputError
from dnaml.core.resource import Resource
from dnaml.core.work import Constraints, Objective, Resilience
from dnaml.jobfile import Argv, Call, JobFile

FULL = """\
name: forest
run: python 'my fit.py' --trees 200
workdir: work
inputs: [data.csv]
outputs: [model.bin]
envs: {THREADS: 1, DEBUG: yes, HOME_OF_USER: null}
secrets: {TOKEN: null}
resources:
  cpus: 2+
  memory: 1GB+
  labels: {team: a}
objective: {cost: 3, latency: 1}
constraints: {deadline: 2h, max_cost: 1.5, max_hourly_cost: 4}
resilience:
  replicas: 2
  checkpoint: {interval: 90s}
  max_restarts: 3
"""


@pytest.fixture
def job_path(tmp_path: Path) -> Path:
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "data.csv").write_text("1,2\n")
    path = tmp_path / "dnaml.yaml"
    path.write_text(FULL)
    return path


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "dnaml.yaml"
    path.write_text(text)
    return path


def test_a_full_file_becomes_the_values_of_the_core(job_path: Path):
    job = JobFile.read(job_path)
    assert job.name == "forest"
    assert job.objective() == Objective(cost=3, latency=1, resilience=0)
    assert job.resilience() == Resilience(replicas=2, checkpoint=True, checkpoint_every_s=90, max_restarts=3)
    assert job.constraints() == Constraints(
        deadline_s=7200, max_cost_usd=1.5, max_price_usd_per_h=4, labels={"team": "a"}
    )


def test_a_command_is_split_into_words_and_values_stay_as_written(job_path: Path):
    ran = JobFile.read(job_path).runnable({"HOME_OF_USER": "/somewhere"})
    assert ran == Argv(
        argv=("python", "my fit.py", "--trees", "200"),
        workdir=job_path.parent / "work",
        envs={"THREADS": "1", "DEBUG": "yes", "HOME_OF_USER": "/somewhere"},
    )


def test_paths_start_at_the_folder_of_the_job_file(job_path: Path):
    job = JobFile.read(job_path)
    assert job.input_paths() == (job_path.parent / "work" / "data.csv",)
    assert job.output_paths() == (job_path.parent / "work" / "model.bin",)


def test_secrets_come_from_the_environment_and_are_never_shown(job_path: Path):
    job = JobFile.read(job_path)
    assert job.secrets({"TOKEN": "s3cret"}) == {"TOKEN": "s3cret"}
    given = JobFile.of({"run": "x", "secrets": {"TOKEN": "s3cret"}})
    assert "s3cret" not in repr(given)
    assert "s3cret" not in repr(given.runnable())


def test_wishes_narrow_the_resources_to_those_that_meet_them(job_path: Path):
    small = Resource(id="small", memory_bytes=2**29, spec={"cores": 4.0}, labels={"team": "a"})
    large = Resource(id="large", memory_bytes=2**33, spec={"cores": 4.0}, labels={"team": "a"})
    assert JobFile.read(job_path).constraints([small, large]).resource_ids == ("large",)
    with pytest.raises(InputError, match=r"resources\.memory 1GB\+: .* the largest is small with 0\.5GB"):
        JobFile.read(job_path).constraints([small])


def test_module_and_function_stand_for_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    call = JobFile.read("json:dumps").runnable()
    assert call == Call(name="json:dumps", args=(), kwargs={}, workdir=tmp_path, envs={})
    assert isinstance(call, Call)
    assert call.load() is json.dumps


def test_arguments_are_a_list_or_keywords():
    by_place = JobFile.of({"computation": "json:dumps", "args": [[1]]}).runnable()
    by_name = JobFile.of({"computation": "json:dumps", "args": {"obj": None}}).runnable()
    assert isinstance(by_place, Call)
    assert isinstance(by_name, Call)
    assert (by_place.args, by_place.kwargs) == (([1],), {})
    assert (by_name.args, by_name.kwargs) == ((), {"obj": None})


def test_a_function_is_imported_from_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("sys.path", [*__import__("sys").path])
    (tmp_path / "a_users_module.py").write_text(
        "class Box:\n    @staticmethod\n    def fit(x): return x + 1\nLIMIT = 3\n"
    )
    (tmp_path / "a_broken_module.py").write_text("1 / 0\n")
    load = JobFile.of({"computation": "a_users_module:Box.fit"}, folder=tmp_path).runnable().load
    assert load()(2) == 3
    for name, says in [
        ("a_users_module:nothing", "AttributeError"),
        ("a_users_module:LIMIT", "must be a function, got int"),
        ("a_broken_module:f", "ZeroDivisionError: division by zero"),
        ("no_such_module_x:f", "ModuleNotFoundError"),
        ("a_users_module.py:Box.fit", "a_users_module:Box.fit, without .py, is how it is named"),
    ]:
        with pytest.raises(InputError, match=says):
            JobFile.of({"computation": name}, folder=tmp_path).runnable().load()


def test_the_name_is_that_of_the_program_or_function_if_none_is_given():
    assert JobFile.of({"run": "/usr/bin/python x.py"}).name == "python"
    assert JobFile.of({"computation": "json:dumps"}).name == "json:dumps"


def test_the_recovery_of_skypilot_gives_the_restarts_where_no_other_count_stands():
    wish = {"strategy": "FAILOVER", "max_restarts_on_errors": 4}
    assert JobFile.of({"run": "x", "resilience": {"job_recovery": wish}}).resilience().max_restarts == 4
    both = {"job_recovery": wish, "max_restarts": 1}
    assert JobFile.of({"run": "x", "resilience": both}).resilience().max_restarts == 1
    off = JobFile.of({"run": "x", "resilience": {"checkpoint": False}}).resilience()
    assert (off.checkpoint, off.checkpoint_every_s) == (False, None)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("run: x\nresorces: {cpus: 4}\n", ":2: unknown key 'resorces'; the nearest known key is 'resources'"),
        ("run: x\nresources:\n  cpu: 4\n", ":3: resources has no key 'cpu'; the nearest known key is 'cpus'"),
        ("run: x\ncpus: 4\n", ":2: unknown key 'cpus'; it belongs under resources"),
        ("run: x\nresources: {run: x}\n", ":2: resources has no key 'run'; it belongs at the top level"),
        ("run: x\nresilience:\n  checkpoint:\n    intervall: 3\n", ":4: resilience.checkpoint has no key 'intervall'"),
        ("run: x\nresilience:\n  replicas: two\n", ":3: resilience.replicas: expected int"),
        ("run: x\nresilience:\n  replicas: 0\n", ":3: resilience.replicas: must be at least 1, got 0"),
        ("run: x\nresources:\n\n  memory: 16XB\n", ":4: resources.memory: must be a size such as 16, 16GB or 16GB+"),
        ("run: x\nconstraints:\n  deadline: soon\n", ":3: constraints.deadline: must be a duration"),
        ("run: x\nobjective: fastest\n", ":2: objective: objective must be one of min_cost"),
        ("name: x\n", ":1: run: exactly one of run and computation must be given"),
        ("- run\n", ": must hold keys such as run and resources, got list"),
        ("", ": must hold keys such as run and resources, got NoneType"),
        ("run: [a, [b]]\n", ":1: run[1]: expected str, got array"),
    ],
)
def test_a_bad_file_is_refused_with_file_line_rule_and_value(tmp_path: Path, text: str, says: str):
    path = written(tmp_path, text)
    with pytest.raises(InputError) as caught:
        JobFile.read(path)
    assert str(caught.value).startswith(f"{path}{says}")
    assert "\n" not in str(caught.value)


def test_what_cannot_be_opened_is_refused(tmp_path: Path):
    (tmp_path / "binary.yaml").write_bytes(b"run: \xff\xfe")
    for source, says in [
        (tmp_path / "none.yaml", "no such job file, and it is not module:function"),
        (tmp_path, "cannot be read: Is a directory"),
        (tmp_path / "binary.yaml", "must be UTF-8 text, byte 5 is not"),
    ]:
        with pytest.raises(InputError, match=says):
            JobFile.read(source)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("run: x\nworkdir: nowhere\n", "workdir: no such folder"),
        ("run: x\nenvs: {A_NAME_NOBODY_SET: null}\n", "envs: A_NAME_NOBODY_SET has no value"),
        ('run: "unclosed \'quote"\n', "run: cannot be split into words: No closing quotation"),
        ("run: '  '\n", "run: must name a program"),
    ],
)
def test_what_only_this_machine_can_tell_is_checked_before_anything_runs(tmp_path: Path, text: str, says: str):
    with pytest.raises(InputError, match=says):
        JobFile.read(written(tmp_path, text)).runnable({})


def test_an_input_that_is_not_there_is_named(tmp_path: Path):
    job = JobFile.read(written(tmp_path, "run: x\ninputs: [gone.csv]\n"))
    with pytest.raises(InputError, match=r"inputs: no such file 'gone\.csv'"):
        job.input_paths()
