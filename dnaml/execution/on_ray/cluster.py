"""The engine's handle on the gateway process and the address where agents call: what the back end works through."""

import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator

import msgspec

from dnaml.core.errors import InputError, MissingExtra
from dnaml.execution.messages import FrameReader, framed
from dnaml.execution.on_ray import gateway, wire
from dnaml.execution.on_ray.settings import RaySettings

_GRACE_S = 8.0
_UNMOVED = "it let nobody in (is its RAY_AUTH_MODE or RAY_AUTH_TOKEN another, or its version of Ray?)"


class Cluster:
    """A Ray cluster that is joined or started here; `line` and `door` are what the engine's loop watches."""

    def __init__(self, address: str = "auto", settings: RaySettings | None = None) -> None:
        """Join within `settings.connect_within_s`; raises MissingExtra, or InputError saying what does not answer."""
        self.address, self.settings = address, settings or RaySettings()
        self.nodes = gateway.Nodes({}, {}, {})
        self.token = secrets.token_bytes(32)
        self.own = False
        self.shared = False
        """whether it outlives the back end that uses it: several may, one after the other"""
        self._folder = tempfile.mkdtemp(prefix="dnaml-ray-") if address == "local" else ""
        self._reader = FrameReader()
        self._bundles: list[dict[str, float]] = []
        self._child: subprocess.Popen[bytes] | None = None
        self.line: socket.socket | None = None
        self.door: socket.socket | None = None
        self._spawn()
        try:
            self._await_joined()
        except BaseException:
            self.kill()  # it may wait for an answer that never comes
            self.close()
            raise

    # -- starting ----------------------------------------------------------------------------------------------------

    def _spawn(self) -> None:
        near, far = socket.socketpair()
        paths = os.pathsep.join(entry for entry in sys.path if entry)
        environment = {**os.environ, "DNAML_PATH": paths, "RAY_USAGE_STATS_ENABLED": "0"}
        with far:
            self._child = subprocess.Popen(
                [sys.executable, "-m", "dnaml.execution.on_ray.gateway", str(far.fileno())],
                pass_fds=(far.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                env=environment,
            )
        self.line, self._reader = near, FrameReader()
        self._say(gateway.Join(self.address, self._folder, self.settings.cpus))

    def _await_joined(self) -> None:
        """Wait until the gateway joined; loading Ray's code may take longer, which is not the cluster's fault."""
        assert self.line is not None
        until_s = time.monotonic() + self.settings.load_within_s
        what = "Ray's code did not load"
        while (left_s := until_s - time.monotonic()) > 0:
            self.line.settimeout(left_s)
            try:
                messages = list(self.read())
            except TimeoutError:
                break
            except EOFError:
                raise InputError(f"Ray at {self.address}: the process that joins it ended without a word") from None
            for message in messages:
                if isinstance(message, gateway.Loaded):
                    patience_s = self.settings.start_within_s if self._is_local else self.settings.connect_within_s
                    until_s, what = time.monotonic() + patience_s, _UNMOVED
                elif isinstance(message, gateway.Joined):
                    self.attach(message)
                    return
                else:
                    self.refuse(message)
        raise InputError(f"Ray at {self.address}: {what} within the time it has")

    @property
    def _is_local(self) -> bool:
        return self.address == "local"

    def refuse(self, message: gateway.FromGateway) -> None:
        """Raise what a refusal means."""
        if isinstance(message, gateway.Refused):
            if message.missing:
                raise MissingExtra(f"{message.reason}; install it with: pip install 'dnaml[ray]'")
            raise InputError(message.reason)

    def attach(self, joined: gateway.Joined) -> None:
        """Open the door for agents at the address they can reach, and have every node given one."""
        self.own = joined.own
        if self.door is None:
            self.door = socket.create_server((joined.host, 0), backlog=1024)
        settings = self.settings
        plan = wire.Plan(
            node_id="",
            resource_id="",
            hostname="",
            labels={},
            amounts={},
            host=joined.host,
            port=self.door.getsockname()[1],
            token=self.token,
            paths=tuple(entry for entry in (*sys.path, os.getcwd()) if entry),
            local=settings.local,
            timing=settings.timing,
            probe=settings.probe,
            refresh_every_s=settings.refresh_every_s,
            checkpoints=settings.checkpoints,
        )
        self._say(gateway.Attach(gateway.encode(plan)))
        if self._bundles:
            self._say(gateway.Request(self._bundles))

    # -- talking -----------------------------------------------------------------------------------------------------

    def read(self) -> Iterator[gateway.FromGateway]:
        """Yield what the gateway said since; raises EOFError when it is gone."""
        assert self.line is not None
        try:
            data = self.line.recv(1 << 16)
        except BlockingIOError:
            return
        except ConnectionError:
            data = b""
        if not data:
            raise EOFError
        for frame in self._reader.feed(data):
            message = gateway.decode(frame)
            if isinstance(message, gateway.Nodes):
                self.nodes = message
            yield message

    def request(self, bundles: list[dict[str, float]]) -> None:
        """Ask Ray's autoscaler for room for these bundles; an empty list takes the request back."""
        self._bundles = bundles
        self._say(gateway.Request(bundles))

    def _say(self, message: msgspec.Struct) -> None:
        if self.line is not None:
            with contextlib.suppress(OSError):  # it is gone: reading shows it
                self.line.sendall(framed(gateway.encode(message)))

    def respawn(self) -> None:
        """Start the gateway again: the one before is gone; it joins in its own time."""
        self._spawn()
        assert self.line is not None
        self.line.setblocking(False)

    def kill(self) -> None:
        """End the gateway at once: the processes of an own cluster end with it, agents elsewhere with their driver."""
        self._end(0.0)

    def _end(self, grace_s: float = _GRACE_S) -> None:
        """Hang up, and wait for the gateway's end."""
        if self.line is not None:
            self.line.close()
            self.line = None
        if self._child is not None:
            try:
                self._child.wait(grace_s)
            except subprocess.TimeoutExpired:
                self._child.kill()
                self._child.wait()
            self._child = None

    def close(self) -> None:
        """Leave the cluster; one that was started here ends."""
        if self.door is not None:
            self.door.close()
            self.door = None
        self._end()
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)
