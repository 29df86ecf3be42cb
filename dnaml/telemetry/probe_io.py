"""Probes of what lies outside the core: the disk, a message to another process and back, a new process."""

import os
import socket
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from dnaml.telemetry.probes import Clock, Form, Probe, Step

_WRITTEN_BYTES = 4 << 20
_MESSAGE = b"x" * 64
_ECHO = (
    "import socket,sys; s=socket.socket(fileno=int(sys.argv[1])); s.sendall(b'up')\nwhile m:=s.recv(64): s.sendall(m)"
)


def io_probes(folder: Path | None = None) -> list[Probe]:
    """Return the probes of disk, messages and processes, on the wall clock; `folder` is where the disk is written."""
    return [
        Probe(key="disk_write_bytes_per_s", setup=partial(_disk, folder=folder), clock=Clock.WALL),
        Probe(key="latency_s", setup=_round_trip, clock=Clock.WALL, form=Form.DURATION),
        Probe(key="startup_s", setup=_start, clock=Clock.WALL, form=Form.DURATION),
    ]


def _disk(stack: ExitStack, *, folder: Path | None) -> Step:
    """Write 4 MiB of random bytes and wait until the disk has them."""
    descriptor, path = tempfile.mkstemp(prefix="dnaml-probe-", dir=folder)
    stack.callback(os.close, descriptor)
    os.unlink(path)  # the file lives as long as its descriptor: nothing is left after a crash
    data = os.urandom(_WRITTEN_BYTES)
    sync = getattr(os, "fdatasync", os.fsync)  # macOS has no fdatasync

    def step() -> float:
        os.pwrite(descriptor, data, 0)
        sync(descriptor)
        return float(_WRITTEN_BYTES)

    step()
    return step


def _round_trip(stack: ExitStack) -> Step:
    """Send 64 bytes to another process and wait for them to come back: the control node's latency to a worker."""
    ours = _echo_process(stack)

    def step() -> float:
        for _ in range(20):
            ours.sendall(_MESSAGE)
            ours.recv(len(_MESSAGE), socket.MSG_WAITALL)
        return 20.0

    step()
    return step


def _start(stack: ExitStack) -> Step:
    """Start an interpreter, from the call to its first message."""

    def step() -> float:
        with ExitStack() as inner:
            _echo_process(inner)
            return 1.0

    return step


def _echo_process(stack: ExitStack) -> socket.socket:
    """Start a process that sends back what it gets, and return our end of the socket after its first message."""
    ours, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _ECHO, str(theirs.fileno())], pass_fds=[theirs.fileno()]
        )
    stack.callback(process.wait)
    stack.callback(ours.close)  # runs first: the echo ends when its peer is gone
    if ours.recv(2, socket.MSG_WAITALL) != b"up":
        raise OSError("the echo process did not answer")
    return ours
