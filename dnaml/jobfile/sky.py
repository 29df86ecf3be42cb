"""Reads a SkyPilot task YAML and writes the job file that comes nearest to it, saying what was lost or changed.

SkyPilot's `setup` and `run` are bash scripts; here a command is run without a shell, so a script becomes
`bash -c`. What has no counterpart (clusters, disks, ports, mounts of buckets) is named and left out.
"""

import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from dnaml.core.errors import InputError
from dnaml.jobfile import yaml_tree
from dnaml.jobfile.document import Recovery
from dnaml.jobfile.file import JobFile
from dnaml.jobfile.sizes import COUNT_PATTERN, MEMORY_PATTERN

Values = dict[str, Any]  # YAML values

_TEXT = {"run", "setup", "envs", "secrets"}
_TASK = {"name", "workdir", "num_nodes", "resources", "envs", "secrets", "file_mounts", "setup", "run"}
_TASK_LOST = {"volumes", "service", "pool", "config", "inputs", "outputs", "event_callback", "api_server"}
_RESOURCES = {"infra", "cloud", "region", "zone", "accelerators", "cpus", "memory", "use_spot", "max_hourly_cost"}
_RESOURCES |= {"job_recovery", "spot_recovery", "labels", "any_of", "ordered"}
_RESOURCES_LOST = {"accelerator_args", "instance_type", "disk_size", "disk_tier", "local_disk", "network_tier"}
_RESOURCES_LOST |= {"image_id", "ports", "autostop", "priority", "priority_class", "volumes"}
_SHELL = re.compile(r"[\n|&;<>()$`\"'*?\[\]#~{}\\!]|^\s*\w+=")


class Loss(Enum):
    """Is how a field of the task came over, where not as it was."""

    CHANGED = "changed"  # it means nearly the same here
    LOST = "lost"  # it is SkyPilot's and has no counterpart
    UNKNOWN = "unknown"  # SkyPilot does not know it either


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """One field that did not come over as it was, and why."""

    field: str
    loss: Loss
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """The job file's document, and what was lost or changed on the way."""

    document: Values
    notes: tuple[Note, ...]

    def text(self) -> str:
        """Return the document as YAML."""
        import yaml

        return yaml.safe_dump(self.document, sort_keys=False, allow_unicode=True, width=100)


def read_task(path: Path) -> Imported:
    """Return the job of a SkyPilot task file; raise InputError for what is no task, or gives no valid job."""
    try:
        text = path.read_bytes()[: yaml_tree.MAX_BYTES + 1].decode("utf-8")
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: must be UTF-8 text, byte {error.start} is not") from None
    tree = yaml_tree.parse(text, name=str(path), as_text=lambda at: bool(at) and at[0] in _TEXT)
    if not isinstance(tree.value, dict):
        raise InputError(f"{path}: must be a task with keys such as resources and run, got {type(tree.value).__name__}")
    return imported(tree.value, source=str(path), folder=path.absolute().parent)


def imported(task: Mapping[str, Any], *, source: str = "task", folder: Path | None = None) -> Imported:
    """Return the job of a parsed task; raise InputError where it runs nothing or its job is refused."""
    notes: list[Note] = [*_strays("", task, _TASK, _TASK_LOST)]
    run = task.get("run")
    if not isinstance(run, str) or not run.strip():
        raise InputError(f"{source}: run: must be a script, got {'nothing' if run is None else type(run).__name__}")
    document: Values = {}
    if task.get("name") is not None:
        document["name"] = str(task["name"])
    document["run"] = _command(run, task.get("setup"), notes)
    _folder(task.get("workdir"), document, notes)
    _mounts(task.get("file_mounts"), document, notes)
    for section in ("envs", "secrets"):
        if task.get(section):
            document[section] = _variables(task[section], f"{source}: {section}")
    if _number(task.get("num_nodes")) > 1:
        notes.append(Note(field="num_nodes", loss=Loss.LOST, why="a job runs on one resource here"))
    _resources(task.get("resources") or {}, document, notes, source)
    JobFile.of(document, source=source, folder=folder)
    return Imported(document=document, notes=tuple(notes))


def _strays(section: str, found: Mapping[str, Any], known: set[str], lost: set[str]) -> Iterator[Note]:
    """Yield a note for every key that has no counterpart."""
    for key, value in found.items():
        name = f"{section}{key}"
        if key in lost and value is not None:
            yield Note(field=name, loss=Loss.LOST, why="has no counterpart")
        elif key not in known | lost:
            yield Note(field=name, loss=Loss.UNKNOWN, why="is no field of a SkyPilot task")


def _command(run: str, setup: object, notes: list[Note]) -> str | list[str]:
    """Return one plain command as it stands, and any script as an argument of bash."""
    script = run.strip()
    if isinstance(setup, str) and setup.strip():
        why = "runs before each attempt, in the same shell; SkyPilot runs it once a machine"
        notes.append(Note(field="setup", loss=Loss.CHANGED, why=why))
        script = f"set -e\n{setup.strip()}\nset +e\n{script}"
    if _SHELL.search(script) is None:
        return " ".join(shlex.split(script))
    return ["bash", "-c", script]


def _folder(workdir: object, document: Values, notes: list[Note]) -> None:
    if isinstance(workdir, str):
        document["workdir"] = workdir
        if not workdir.startswith(("/", "~")):
            why = "starts at the job file's folder; SkyPilot's at the folder where sky is called"
            notes.append(Note(field="workdir", loss=Loss.CHANGED, why=why))
    elif workdir is not None:
        notes.append(Note(field="workdir", loss=Loss.LOST, why="a repository is not checked out here: do it before"))


def _mounts(mounts: object, document: Values, notes: list[Note]) -> None:
    """Take local files as inputs; nothing is copied, for the work runs on this machine."""
    inputs = []
    for there, here in mounts.items() if isinstance(mounts, dict) else ():
        name = f"file_mounts.{there}"
        if isinstance(here, str) and "://" not in here:
            inputs.append(here)
            why = f"became an input; the work finds it at {here}, not at {there}"
            notes.append(Note(field=name, loss=Loss.CHANGED, why=why))
        else:
            notes.append(Note(field=name, loss=Loss.LOST, why="buckets are not mounted here"))
    if inputs:
        document["inputs"] = inputs


def _variables(given: object, what: str) -> dict[str, str | None]:
    """Return variables; for SkyPilot an empty one must come from whoever submits, which is null here."""
    if not isinstance(given, dict):
        raise InputError(f"{what}: must hold names and values, got {type(given).__name__}")
    return {str(name): None if value in (None, "") else str(value) for name, value in given.items()}


def _number(written: object) -> float:
    return float(written) if isinstance(written, int | float) else 1.0


def _resources(given: object, document: Values, notes: list[Note], source: str) -> None:
    if not isinstance(given, dict):
        raise InputError(f"{source}: resources: must hold keys such as accelerators, got {type(given).__name__}")
    merged = _one_of(given, notes)
    notes += _strays("resources.", merged, _RESOURCES, _RESOURCES_LOST)
    wishes: Values = {}
    for key, convert in _CONVERT.items():
        if merged.get(key) is not None:
            value = convert(merged[key], notes)
            if value is not None:
                wishes[key] = value
    infra = _infra(merged, notes)
    if infra:
        wishes["infra"] = infra
    if merged.get("labels"):
        why = "are tags there and a requirement here"
        notes.append(Note(field="resources.labels", loss=Loss.LOST, why=why))
    if wishes:
        document["resources"] = wishes
    if merged.get("max_hourly_cost") is not None:
        document["constraints"] = {"max_hourly_cost": merged["max_hourly_cost"]}
    recovery = merged.get("job_recovery", merged.get("spot_recovery"))
    resilience = _recovery(recovery, notes)
    if resilience:
        document["resilience"] = resilience


def _one_of(given: Mapping[str, Any], notes: list[Note]) -> Values:
    """Return the wishes with the alternatives of `any_of` or `ordered` taken in, where accelerators alone differ."""
    base = {key: value for key, value in given.items() if key not in ("any_of", "ordered")}
    for key in ("any_of", "ordered"):
        choices = [{**base, **one} for one in given.get(key) or () if isinstance(one, dict)]
        if not choices:
            continue
        rest = [{name: value for name, value in one.items() if name != "accelerators"} for one in choices]
        if all(one == rest[0] for one in rest) and all("accelerators" in one for one in choices):
            base = {**rest[0], "accelerators": [name for one in choices for name in _names(one["accelerators"])]}
            why = "became a list of accelerators: which one is decided by prediction, not by order"
            notes.append(Note(field=f"resources.{key}", loss=Loss.CHANGED, why=why))
        else:
            base = choices[0]
            why = f"the first of {len(choices)} was kept: alternatives may differ in accelerators alone"
            notes.append(Note(field=f"resources.{key}", loss=Loss.LOST, why=why))
    return base


def _names(accelerators: object) -> list[str]:
    if isinstance(accelerators, dict):
        return [name if count is None else f"{name}:{count}" for name, count in accelerators.items()]
    return [str(one) for one in accelerators] if isinstance(accelerators, list) else [str(accelerators)]


def _accelerators(given: object, notes: list[Note]) -> str | list[str]:
    """Return names with whole counts; a part of one becomes one."""
    found = []
    for written in _names(given):
        name, colon, count = written.partition(":")
        if re.fullmatch(r"[0-9]*\.[0-9]+", count):
            why = f"{written}: parts of one are not shared here: counted as whole"
            notes.append(Note(field="resources.accelerators", loss=Loss.CHANGED, why=why))
            count = str(max(1, round(float(count) + 0.5)))
        found.append(f"{name}{colon}{count}")
    return found[0] if len(found) == 1 else found


def _sized(pattern: str, key: str) -> Callable[[Any, list[Note]], Any]:  # YAML values
    def keep(given: Any, notes: list[Note]) -> Any:
        if re.fullmatch(pattern, str(given).strip()):
            return given
        why = f"{given!r} cannot be said here (a multiple of the processors?)"
        notes.append(Note(field=f"resources.{key}", loss=Loss.LOST, why=why))
        return None

    return keep


def _infra(merged: Mapping[str, Any], notes: list[Note]) -> str | None:
    """Return cloud and region, also from the older three keys; a zone is more than resources here say."""
    infra = merged.get("infra")
    written = str(infra) if infra else "/".join(str(merged.get(key) or "*") for key in ("cloud", "region", "zone"))
    parts = [part for part in written.split("/")[:2] if part not in ("", "*")]
    if len([part for part in written.split("/")[2:] if part not in ("", "*")]):
        notes.append(Note(field="resources.zone", loss=Loss.LOST, why="resources are told apart by region"))
    if written.startswith("*") and parts:
        notes.append(Note(field="resources.region", loss=Loss.LOST, why="a region needs its cloud beside it"))
        return None
    return "/".join(parts) or None


def _recovery(given: object, notes: list[Note]) -> Values:
    """Return the resilience of a strategy's name or its long form."""
    told = {"strategy": given} if isinstance(given, str) else dict(given) if isinstance(given, dict) else {}
    found: Values = {}
    strategy = str(told.pop("strategy", None) or "none").upper()
    if strategy in Recovery.__members__:
        found["job_recovery"] = strategy
    elif strategy != "NONE":
        notes.append(Note(field="resources.job_recovery", loss=Loss.LOST, why=f"{strategy} is not known here"))
    restarts = told.pop("max_restarts_on_errors", None)
    if restarts is not None:
        found["max_restarts"] = restarts
    notes += [Note(field=f"resources.job_recovery.{key}", loss=Loss.LOST, why="has no counterpart") for key in told]
    return found


_CONVERT: Mapping[str, Callable[[Any, list[Note]], Any]] = {  # YAML values
    "cpus": _sized(COUNT_PATTERN, "cpus"),
    "memory": _sized(MEMORY_PATTERN, "memory"),
    "accelerators": _accelerators,
    "use_spot": lambda given, _: bool(given),
}
