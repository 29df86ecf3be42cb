"""The agent on one Ray node: calls the engine, runs attempts under its lease, tells what happens.

It beats every second. When the engine falls silent for longer than the lease it kills what it runs: somebody else has
the work by then. It ends with its raylet.
"""

import contextlib
import os
import platform
import secrets
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, TypeVar

import msgspec
import psutil

from dnaml.core.resource import Resource
from dnaml.execution.messages import FrameReader
from dnaml.execution.on_ray import nodes, wire
from dnaml.execution.on_ray.carrying import chunks
from dnaml.execution.on_ray.crew import Crew
from dnaml.execution.on_ray.priority import as_urgent_as_parent
from dnaml.execution.on_ray.reporting import Reporter
from dnaml.execution.release import release

_READ_BYTES = 1 << 20
_LOOK_EVERY_S = 0.25
_SHORTEST_S, _SLOWEST_S = 0.05, 1.0
_GREETING_BEATS = 2.0
_FOLDER = "dnaml-agent-"
_SEND_S = 30.0
_NEVER_S = float("inf")
_Said = msgspec.Struct | tuple[str, BinaryIO, msgspec.Struct]
_Greeting = TypeVar("_Greeting", wire.Challenge, wire.Welcome)


class Turned(Exception):
    """Says that the engine does not take this agent on."""


def own_folder() -> Path:
    """Make this agent's temporary folder, named by its process; remove those of agents that were killed here."""
    for left in Path(tempfile.gettempdir()).glob(f"{_FOLDER}*-*"):
        owner = left.name.removeprefix(_FOLDER).partition("-")[0]
        if owner.isdigit() and not psutil.pid_exists(int(owner)):
            shutil.rmtree(left, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"{_FOLDER}{os.getpid()}-"))


class Agent:
    """Serves one engine from one node until the raylet or the engine's token is gone."""

    def __init__(self, plan: wire.Plan) -> None:
        self._plan = plan
        self._niceness = as_urgent_as_parent()
        self._folder = own_folder()
        self._parent = os.getppid()
        declared = nodes.declared(plan.resource_id, plan.hostname, plan.labels, plan.amounts)
        self._resources = nodes.on_this_machine(declared)
        self._queue: deque[_Said] = deque()
        self._due_s = _NEVER_S
        self._turn = threading.Condition()
        self._writing = threading.Lock()
        self._line: socket.socket | None = None
        self._sent_s = 0.0
        self._heard_s = time.monotonic()
        self._pause_s = _SHORTEST_S
        self._probed = not plan.probe
        self._crew = self._new_crew()
        self._probing = threading.Thread(target=self._probe, name="dnaml-probe", daemon=True)
        self._reporter = Reporter(
            self._folder / "telemetry",
            lambda: self._resources,
            lambda: self._crew.backend.pids(),
            self._tell,
            plan.refresh_every_s,
        )

    def serve(self) -> str:
        """Work until the raylet is gone or the engine turns this agent down; return why it ended."""
        with contextlib.suppress(ValueError):  # not the main thread: then nobody ignored the signal either
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        sys.path[:0] = [path for path in self._plan.paths if path not in sys.path and Path(path).exists()]
        threading.Thread(target=self._send, name="dnaml-send", daemon=True).start()
        self._reporter.start()
        self._heard_s = time.monotonic()
        try:
            while True:
                with contextlib.suppress(OSError, msgspec.DecodeError):
                    self._call()
                if time.monotonic() - self._heard_s > self._plan.timing.dead_after_s and self._crew.used:
                    self._start_over()
                time.sleep(self._pause_s * (0.5 + secrets.randbelow(1000) / 1000))
                self._pause_s = min(2 * self._pause_s, _SLOWEST_S)
                self._look_at_parent()
        except Turned as error:
            return str(error)
        finally:
            self._crew.dismiss()
            shutil.rmtree(self._folder, ignore_errors=True)

    # -- one connection ----------------------------------------------------------------------------------------------

    def _call(self) -> None:
        """Hold one connection for as long as it lasts, and note when the engine was last heard."""
        timing = self._plan.timing
        with socket.create_connection((self._plan.host, self._plan.port), timeout=timing.beat_every_s) as line:
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            reader = FrameReader()
            line.settimeout(_GREETING_BEATS * timing.beat_every_s)
            if not self._greet(line, reader):
                self._start_over()
                self._heard_s = time.monotonic()
                return
            self._heard_s, self._pause_s = time.monotonic(), _SHORTEST_S
            try:
                while time.monotonic() - self._heard_s <= timing.dead_after_s:
                    line.settimeout(_LOOK_EVERY_S)
                    try:
                        data = line.recv(_READ_BYTES)
                    except TimeoutError:
                        self._look_at_parent()
                        continue
                    if not data:
                        break
                    self._heard_s = time.monotonic()
                    for frame in reader.feed(data):
                        self._take(frame)
                    self._crew.get_going()
            finally:
                with self._writing:
                    self._line.close() if self._line is not None else None
                    self._line = None

    def _greet(self, line: socket.socket, reader: FrameReader) -> bool:
        """Prove each other, take up the session; False when the engine wants a new one."""
        challenge = self._read(line, reader, wire.Challenge)
        if challenge.protocol != wire.PROTOCOL:
            raise Turned(f"the engine speaks protocol {challenge.protocol}, this node {wire.PROTOCOL}")
        nonce, talk = secrets.token_bytes(32), self._crew.conversation
        hello = wire.Hello(
            wire.PROTOCOL,
            wire.proof(self._plan.token, "agent", challenge.nonce),
            nonce,
            self._plan.node_id,
            self._crew.session,
            talk.received,
            platform.python_version(),
            release(),
            list(self._resources),
            self._probed,
            self._crew.used,
        )
        line.sendall(talk.aside(hello))
        welcome = self._read(line, reader, wire.Welcome)
        if welcome.proof != wire.proof(self._plan.token, "engine", nonce):
            raise OSError("whoever answers does not know the token")
        if not welcome.resumed and self._crew.used:
            return False
        with self._writing:
            if not welcome.resumed:
                self._crew.conversation = talk = wire.Conversation()
            line.sendall(talk.again(welcome.received))
            self._line = line.dup()  # with a patience of its own: reading has another
            self._line.settimeout(_SEND_S)
        with self._turn:
            self._turn.notify_all()
        if self._plan.probe and not self._probing.ident:
            self._probing.start()
        return True

    def _read(self, line: socket.socket, reader: FrameReader, kind: type[_Greeting]) -> _Greeting:
        """Wait for one greeting."""
        while data := line.recv(_READ_BYTES):
            for frame in reader.feed(data):
                body = self._crew.conversation.hear(frame)
                for message in wire.for_agent(body) if body is not None else ():
                    if isinstance(message, wire.Refused):
                        raise Turned(message.reason)
                    if isinstance(message, kind):
                        return message
        raise OSError("the engine hung up")

    def _take(self, frame: bytes) -> None:
        body = self._crew.conversation.hear(frame)
        for message in wire.for_agent(body) if body is not None else ():
            self._crew.take(message)

    # -- sending -----------------------------------------------------------------------------------------------------

    def _tell(self, message: msgspec.Struct, patience_s: float = 0.0) -> None:
        """Queue a message; what is queued leaves together when the least patient of it must."""
        with self._turn:
            self._queue.append(message)
            self._make_due(time.monotonic() + patience_s)

    def _make_due(self, at_s: float) -> None:
        if at_s < self._due_s:
            self._due_s = at_s
            self._turn.notify_all()

    def _upload(self, checkpoint_id: str, file: BinaryIO, then: msgspec.Struct) -> None:
        """Queue a checkpoint; an older one of the same job that has not left yet is not worth sending."""
        job = checkpoint_id.partition("/")[0]
        with self._turn:
            for waiting in [entry for entry in self._queue if isinstance(entry, tuple)]:
                if waiting[0].partition("/")[0] == job:
                    self._queue.remove(waiting)
                    waiting[1].close()
            self._queue.append((checkpoint_id, file, then))
            self._make_due(0.0)

    def _send(self) -> None:
        """Send what is queued, and a beat when nothing was sent for a while."""
        every_s = self._plan.timing.beat_every_s
        while True:
            with self._turn:
                now_s = time.monotonic()
                beat_in_s = max(0.01, every_s - (now_s - self._sent_s))
                if self._line is None or self._due_s > now_s:
                    self._turn.wait(min(beat_in_s, self._due_s - now_s) if self._line is not None else beat_in_s)
                crew, line, waiting = self._crew, self._line, deque[_Said]()
                if line is not None and self._due_s <= time.monotonic():
                    waiting, self._queue, self._due_s = self._queue, deque(), _NEVER_S
            if line is None:
                self._sent_s = time.monotonic()
            elif not waiting and time.monotonic() - self._sent_s >= every_s:
                self._write(crew, (), beat=True)
            self._send_all(crew, waiting)

    def _send_all(self, crew: Crew, waiting: "deque[_Said]") -> None:
        plain: list[msgspec.Struct] = []
        for entry in waiting:
            if not isinstance(entry, tuple):
                plain.append(entry)
                continue
            self._write(crew, plain)
            plain = []
            for chunk in chunks(entry[0], entry[1]):
                self._write(crew, (chunk,))
            self._write(crew, (entry[2],))
        self._write(crew, plain)

    def _write(self, crew: Crew, messages: Sequence[msgspec.Struct], beat: bool = False) -> None:
        """Write frames to the connection of the moment; without one they wait in the conversation for the next."""
        if not messages and not beat:
            return
        with self._writing:
            if crew is not self._crew:
                return
            talk = crew.conversation
            body = talk.say_all(messages, wire.News) or talk.aside(wire.Beat())
            line, self._sent_s = self._line, time.monotonic()
            if line is None:
                return
            try:
                line.sendall(body)
            except OSError:
                with contextlib.suppress(OSError):
                    line.shutdown(socket.SHUT_RDWR)

    # -- the rest ----------------------------------------------------------------------------------------------------

    def _new_crew(self) -> Crew:
        session = secrets.token_hex(8)
        folder = self._folder / session
        return Crew(session, folder, self._plan, self._resources, self._tell, self._upload, self._niceness)

    def _start_over(self) -> None:
        """End the lease: kill what runs, forget what was to be told, begin a new session."""
        old = self._crew
        old.dismiss()
        with self._turn:
            self._queue.clear()
            self._due_s = _NEVER_S
            self._crew = self._new_crew()
        shutil.rmtree(self._folder / old.session, ignore_errors=True)

    def _look_at_parent(self) -> None:
        """End with the raylet: for Ray this node is dead then."""
        if os.getppid() != self._parent:
            os._exit(1)

    def _probe(self) -> None:
        found: tuple[Resource, ...] = nodes.probed(self._resources)
        self._resources, self._probed = found, True
        self._crew.offer(*found)
        self._tell(wire.Described(list(found)))
