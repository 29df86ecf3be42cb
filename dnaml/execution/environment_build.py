"""Rebuilds a recorded environment: a fresh virtual environment with the recorded packages at the recorded versions.

Only pip touches the network, with whatever index or folder of wheels it is set up for; `TORCH_INDEX` names another
index for torch, as in the set-up. What was installed from a folder (editable packages) cannot be had from an index: it
is named, not guessed. Hardware, drivers and system libraries stay those of this machine.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dnaml.core.errors import InputError
from dnaml.execution.environment import LOCAL, Environment

_TORCH = ("torch", "torchvision", "torchaudio")
_NOT_REBUILT = frozenset({"pip"})  # each virtual environment brings its own
_DONE = ".dnaml-environment"
_LIMIT_S = 3600.0
_SHOWN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuilt:
    """A rebuilt environment: its interpreter, the variables to run with, and what could not be rebuilt.

    `local` names the packages that were installed from a folder then, with their versions.
    """

    python: Path
    variables: Mapping[str, str]
    packages: tuple[str, ...]
    local: tuple[str, ...]


def recreate(
    recorded: Environment,
    folder: str | os.PathLike[str],
    *,
    python: str | None = None,
    torch_index: str | None = None,
    say: Callable[[str], None] | None = None,
) -> Rebuilt:
    """Build a recorded environment in `folder`, or return the one that is complete there already.

    `python` names the interpreter (default: one of the recorded version on the path), `say` hears of progress. Raises
    InputError naming the package or version that cannot be had; an unfinished folder is then removed.
    """
    place = Path(folder).absolute()
    made = _rebuilt(recorded, place)
    if _is_complete(place, recorded):
        return made
    if place.exists() and (not place.is_dir() or any(place.iterdir())):
        raise InputError(f"{place}: must be empty or absent to hold a new environment")
    tell = say or (lambda line: None)
    interpreter = python or _interpreter(recorded.python)
    _check_version(interpreter, recorded.python)
    try:
        tell(f"making {place} with Python {recorded.python}")
        _run([interpreter, "-m", "venv", str(place)], "a virtual environment cannot be made")
        _install(made, tell, torch_index or os.environ.get("TORCH_INDEX"))
        (place / _DONE).write_text(recorded.digest, encoding="ascii")
    except BaseException:
        shutil.rmtree(place, ignore_errors=True)
        raise
    return made


def _rebuilt(recorded: Environment, place: Path) -> Rebuilt:
    wanted = {name: version for name, version in recorded.packages.items() if name not in _NOT_REBUILT}
    return Rebuilt(
        python=place / "bin" / "python",
        variables={**recorded.variables, **recorded.seeds},
        packages=tuple(f"{name}=={version}" for name, version in wanted.items() if not version.startswith(LOCAL)),
        local=tuple(
            f"{name} {version.removeprefix(LOCAL)}" for name, version in wanted.items() if version.startswith(LOCAL)
        ),
    )


def _is_complete(place: Path, recorded: Environment) -> bool:
    try:
        return (place / _DONE).read_text(encoding="ascii") == recorded.digest
    except OSError:
        return False


def _interpreter(version: str) -> str:
    if version == ".".join(map(str, sys.version_info[:3])):
        return getattr(sys, "_base_executable", None) or sys.executable
    name = "python" + ".".join(version.split(".")[:2])
    found = shutil.which(name)
    if found is None:
        raise InputError(f"environment: Python {version} is needed, and there is no {name} on the path")
    return found


def _check_version(interpreter: str, version: str) -> None:
    """Raise InputError unless the interpreter is of the recorded version, its last part apart."""
    ask = "import platform; print(platform.python_version())"
    told = _run([interpreter, "-c", ask], f"environment: Python {version} is needed; {interpreter} does not run")
    if told.strip().split(".")[:2] != version.split(".")[:2]:
        raise InputError(f"environment: Python {version} is needed, {interpreter} is {told.strip()}")


def _install(made: Rebuilt, tell: Callable[[str], None], torch_index: str | None) -> None:
    """Install torch first, from its own index if one is named, then the rest; dependencies are in the record."""
    first = [package for package in made.packages if package.partition("==")[0] in _TORCH]
    rest = [package for package in made.packages if package not in first]
    pip = [str(made.python), "-m", "pip", "install", "--no-deps", "--no-input", "--disable-pip-version-check", "-q"]
    if first:
        tell(f"installing {', '.join(first)}")
        _pip([*pip, *(["--index-url", torch_index] if torch_index else []), *first], first)
    if rest:
        tell(f"installing {len(rest)} more from {rest[0]} to {rest[-1]}")
        _pip([*pip, *rest], rest)


def _pip(command: Sequence[str], packages: Sequence[str]) -> None:
    try:
        _run(command, "pip failed")
    except InputError as error:
        missing = re.findall(r"No matching distribution found for (\S+)", str(error))
        if missing:
            raise InputError(
                f"environment: {', '.join(missing)} cannot be had from the indexes and folders that pip is set up for; "
                "without a network, name a folder of wheels in PIP_FIND_LINKS"
            ) from error
        shown = ", ".join(packages[:_SHOWN]) + (", ..." if len(packages) > _SHOWN else "")
        raise InputError(f"environment: {shown} cannot be installed: {error}") from error


def _run(command: Sequence[str], complaint: str) -> str:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_LIMIT_S, check=False, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InputError(f"{complaint}: {error}") from error
    if done.returncode:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        errors = [line for line in lines if line.startswith("ERROR")] or lines[-2:]
        raise InputError(f"{complaint}: {'; '.join(errors) or f'exit code {done.returncode}'}")
    return done.stdout
