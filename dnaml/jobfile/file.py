"""`JobFile`: one job file (or `module:function`) read, checked and turned into what the core and the client take.

Relative paths start at the job file's folder. Nothing here runs anything but the import of a named function.
"""

import difflib
import importlib
import os
import re
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Self

import msgspec

from dnaml.core.errors import InputError
from dnaml.core.resource import Resource
from dnaml.core.work import Constraints, Objective, Resilience
from dnaml.jobfile import yaml_tree
from dnaml.jobfile.candidates import candidate_ids
from dnaml.jobfile.document import SECTIONS, CheckpointWish, JobDocument, check_function_name
from dnaml.jobfile.sizes import parse_duration

_RAW_TEXT = {"run", "envs", "secrets"}  # here `007` and `yes` mean what stands there, not 7 and true


@dataclass(frozen=True, slots=True, kw_only=True)
class Argv:
    """A command, run without a shell in a folder with some environment variables set."""

    argv: tuple[str, ...]
    workdir: Path
    envs: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A function named `module:function`, to be imported from `workdir` and called with arguments."""

    name: str
    args: tuple[Any, ...]  # JSON values, whatever the function takes
    kwargs: Mapping[str, Any]
    workdir: Path
    envs: Mapping[str, str]

    def load(self) -> Callable[..., Any]:
        """Import and return the function; `workdir` comes first on the import path. Raises InputError."""
        module_name, attribute = check_function_name(self.name)
        if str(self.workdir) not in sys.path:
            sys.path.insert(0, str(self.workdir))
        try:
            found: Any = importlib.import_module(module_name)
            for part in attribute.split("."):
                found = getattr(found, part)
        except Exception as error:  # a user's module may raise anything while it is imported
            hint = (
                f"; {module_name[:-3]}:{attribute}, without .py, is how it is named"
                if module_name.endswith(".py")
                else ""
            )
            raise InputError(f"computation {self.name}: cannot be imported: {_short(error)}{hint}") from error
        if not callable(found):
            raise InputError(f"computation {self.name}: must be a function, got {type(found).__name__}")
        loaded: Callable[..., Any] = found
        return loaded


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFile:
    """A checked job: `document` as written, `source` and `folder` where it came from.

    >>> job = JobFile.of({"run": "python train.py --epochs 3", "constraints": {"deadline": "2h"}})
    >>> job.runnable().argv
    ('python', 'train.py', '--epochs', '3')
    """

    document: JobDocument
    source: str
    folder: Path

    @classmethod
    def read(cls, source: str | Path) -> Self:
        """Return the job of a file, or of `module:function`; raise InputError with file and line."""
        path = Path(source)
        if not path.exists() and re.fullmatch(r"[\w.]+:[\w.]+", str(source)):
            check_function_name(str(source))
            return cls(document=JobDocument(computation=str(source)), source=str(source), folder=Path.cwd())
        try:
            text = path.read_bytes()[: yaml_tree.MAX_BYTES + 1].decode("utf-8")
        except FileNotFoundError:
            raise InputError(f"{source}: no such job file, and it is not module:function") from None
        except UnicodeDecodeError as error:
            raise InputError(f"{source}: must be UTF-8 text, byte {error.start} is not") from None
        except OSError as error:
            raise InputError(f"{source}: cannot be read: {error.strerror}") from None
        tree = yaml_tree.parse(text, name=str(source), as_text=lambda at: bool(at) and at[0] in _RAW_TEXT)
        return cls(document=_document(tree, str(source)), source=str(source), folder=path.absolute().parent)

    @classmethod
    def of(cls, values: Mapping[str, Any], *, source: str = "job", folder: Path | None = None) -> Self:
        """Return the job of a mapping shaped like the file (the REST body); raise InputError."""
        tree = yaml_tree.Tree(value=dict(values), lines={})
        return cls(document=_document(tree, source), source=source, folder=folder or Path.cwd())

    @property
    def name(self) -> str:
        """Return the job's name: given, or the function's, or the program's."""
        if self.document.name:
            return self.document.name
        if self.document.computation:
            return self.document.computation
        return Path(self.argv[0]).name

    @property
    def argv(self) -> tuple[str, ...]:
        """Return the command as a list; a string is split as a shell would, but no shell runs it."""
        run = self.document.run
        if run is None:
            return ()
        if not isinstance(run, str):
            argv = tuple(run)
        else:
            try:
                argv = tuple(shlex.split(run))
            except ValueError as error:
                raise InputError(f"{self.source}: run: cannot be split into words: {error}") from None
        if not argv or not argv[0]:
            raise InputError(f"{self.source}: run: must name a program, got {run!r}")
        return argv

    @property
    def workdir(self) -> Path:
        """Return the folder in which the work runs."""
        return (self.folder / Path(self.document.workdir or ".").expanduser()).resolve()

    def objective(self) -> Objective:
        """Return what is minimised."""
        return Objective.of(self.document.objective)

    def constraints(self, resources: Sequence[Resource] | None = None) -> Constraints:
        """Return the limits; with the known `resources`, only those that meet the wishes stay allowed.

        Raises InputError when none of them does, naming the nearest.
        """
        limits, wishes = self.document.constraints, self.document.resources
        allowed = () if resources is None else candidate_ids(wishes, resources, source=self.source)
        return Constraints(
            deadline_s=None if limits.deadline is None else parse_duration(limits.deadline, what="deadline"),
            max_cost_usd=limits.max_cost,
            max_price_usd_per_h=limits.max_hourly_cost,
            labels=wishes.labels,
            resource_ids=allowed,
        )

    def resilience(self) -> Resilience:
        """Return copies, checkpoints and restarts."""
        wish = self.document.resilience
        every = wish.checkpoint.interval if isinstance(wish.checkpoint, CheckpointWish) else None
        return Resilience(
            replicas=wish.replicas,
            checkpoint=wish.checkpoint is not False,
            checkpoint_every_s=None if every is None else parse_duration(every, what="resilience.checkpoint.interval"),
            max_restarts=wish.restarts,
            completion=wish.completion,
        )

    def secrets(self, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
        """Return the secret variables, those without a value taken from `environ`; never store them."""
        return self._filled("secrets", self.document.secrets, environ)

    def runnable(self, environ: Mapping[str, str] = os.environ) -> Argv | Call:
        """Return what to run, its folder checked and its variables filled in (secrets are not among them)."""
        envs = self._filled("envs", self.document.envs, environ)
        if not self.workdir.is_dir():
            raise InputError(f"{self.source}: workdir: no such folder {str(self.workdir)!r}")
        if self.document.computation is None:
            return Argv(argv=self.argv, workdir=self.workdir, envs=envs)
        args = self.document.args
        positional, named = ((), args) if isinstance(args, dict) else (tuple(args), {})
        return Call(name=self.document.computation, args=positional, kwargs=named, workdir=self.workdir, envs=envs)

    def input_paths(self) -> tuple[Path, ...]:
        """Return the input files and folders; raise InputError for one that is not there."""
        paths = tuple(self.workdir / Path(one).expanduser() for one in self.document.inputs)
        for written, path in zip(self.document.inputs, paths, strict=True):
            if not path.exists():
                raise InputError(f"{self.source}: inputs: no such file {written!r} in {self.workdir}")
        return paths

    def output_paths(self) -> tuple[Path, ...]:
        """Return the files and folders that the work promises to write."""
        return tuple(self.workdir / Path(one).expanduser() for one in self.document.outputs)

    def _filled(self, section: str, wanted: Mapping[str, str | None], environ: Mapping[str, str]) -> dict[str, str]:
        missing = [name for name, value in wanted.items() if value is None and name not in environ]
        if missing:
            raise InputError(f"{self.source}: {section}: {missing[0]} has no value and is not in the environment")
        return {name: environ[name] if value is None else value for name, value in wanted.items()}


@cache
def schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of the job file."""
    text = files("dnaml.jobfile").joinpath("schema.json").read_text(encoding="utf-8")
    parsed: dict[str, Any] = msgspec.json.decode(text)
    return parsed


def _document(tree: yaml_tree.Tree, source: str) -> JobDocument:
    value = tree.value
    if not isinstance(value, dict):
        raise InputError(f"{source}: must hold keys such as run and resources, got {type(value).__name__}")
    _check_keys(tree, source)
    try:
        return msgspec.convert(_without_nulls(value), JobDocument)
    except msgspec.ValidationError as error:
        raise InputError(_located(str(error), tree, source)) from None


def _without_nulls(value: Mapping[str, Any]) -> dict[str, Any]:
    """Drop keys without a value (`inputs:` and nothing after it), but in `envs` and `secrets`, where null says more."""
    kept: dict[str, Any] = {}
    for key, inner in value.items():
        if key in ("envs", "secrets", "args") or not isinstance(inner, dict):
            if inner is not None:
                kept[key] = inner
        else:
            kept[key] = _without_nulls(inner)
    return kept


def _check_keys(tree: yaml_tree.Tree, source: str) -> None:
    for section, kind in SECTIONS.items():
        path = tuple(section.split(".")) if section else ()
        value = tree.value
        for step in path:
            value = value.get(step) if isinstance(value, dict) else None
        known = [one.name for one in fields(kind)]
        for key in value if isinstance(value, dict) else ():
            if key not in known:
                where = f"{section} has no key {key!r}" if section else f"unknown key {key!r}"
                line = _line(tree, (*path, key))
                raise InputError(f"{source}{line}: {where}; {_nearest(str(key), section, known)}")


def _nearest(key: str, section: str, known: list[str]) -> str:
    """Name the section in which the key would be right, else the key that looks most like it."""
    homes = [name for name, kind in SECTIONS.items() if name != section and key in {f.name for f in fields(kind)}]
    if homes:
        return f"it belongs under {homes[0]}" if homes[0] else "it belongs at the top level"
    return f"the nearest known key is {difflib.get_close_matches(key, known, n=1, cutoff=0.0)[0]!r}"


def _located(message: str, tree: yaml_tree.Tree, source: str) -> str:
    """Turn msgspec's `rule - at $.path` into `file:line: path: rule`."""
    rule, _, at = message.partition(" - at `$")
    own = re.match(r"([a-z_]+(?:\.[a-z_]+)*): ", rule)  # our own checks name their path first
    dotted = own.group(1) if own else at.strip("`.")
    steps = [int(step) if step.isdigit() else step for step in re.findall(r"[^.\[\]]+", dotted)]
    line = _line(tree, tuple(steps))
    if own:
        return f"{source}{line}: {rule}"
    return f"{source}{line}: {dotted or 'job'}: {rule[:1].lower()}{rule[1:].replace('`', '')}"


def _line(tree: yaml_tree.Tree, path: yaml_tree.Path) -> str:
    return f":{tree.line(path)}" if tree.lines else ""


def _short(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
