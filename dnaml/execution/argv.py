"""Runs a command as a computation, inside a worker: an argv list, never a shell."""

import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from dnaml.core.errors import ComputationFailed, InputError


@dataclass(frozen=True, slots=True)
class Command:
    """A command with its working folder and the variables it gets beside the worker's own."""

    argv: tuple[str, ...]
    workdir: str
    envs: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raise InputError for an empty command."""
        if not self.argv or not self.argv[0]:
            raise InputError("run: the command must not be empty")


class CommandFailed(ComputationFailed):
    """Says with which code or signal a command ended."""


def run_argv(command: Command) -> int:
    """Run a command to its end and return 0; raise CommandFailed for any other end. Its output goes to the log."""
    if not Path(command.workdir).is_dir():
        raise InputError(f"workdir {command.workdir} is not a folder")
    sys.stdout.flush()
    try:
        ended = subprocess.run(
            command.argv, cwd=command.workdir, env={**os.environ, **command.envs}, stdin=subprocess.DEVNULL, check=False
        )
    except OSError as error:
        raise CommandFailed(f"{command.argv[0]}: cannot be started: {error.strerror}") from error
    if ended.returncode != 0:
        how = f"exit code {ended.returncode}" if ended.returncode > 0 else f"signal {-ended.returncode}"
        raise CommandFailed(f"{command.argv[0]} ended with {how}")
    return 0
