"""An agent counts its engine as heard until the moment that a connection ends, however it ends."""

import contextlib
import os
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

from dnaml.execution.messages import FrameReader
from dnaml.execution.on_ray import wire
from dnaml.execution.on_ray.agent import Agent, own_folder
from dnaml.execution.settings import LocalSettings

TOKEN = b"t" * 32


def take_on(server: socket.socket) -> socket.socket:
    """Greet an agent as the engine does and return the connection."""
    line, talk = server.accept()[0], wire.Conversation()
    line.sendall(talk.aside(wire.Challenge(wire.PROTOCOL, b"n" * 32)))
    (frame,) = FrameReader().feed(line.recv(100_000))
    (hello,) = wire.for_engine(talk.hear(frame) or b"")
    assert isinstance(hello, wire.Hello)
    line.sendall(talk.aside(wire.Welcome(wire.proof(TOKEN, "engine", hello.nonce), False, 0)))
    return line


def agent_of(port: int) -> Agent:
    return Agent(
        wire.Plan(
            node_id="node",
            resource_id="n0",
            hostname="here",
            labels={},
            amounts={"CPU": 1.0},
            host="127.0.0.1",
            port=port,
            token=TOKEN,
            paths=(),
            local=LocalSettings(),
            timing=wire.Timing(beat_every_s=10.0),
            probe=False,
        )
    )


def test_a_reset_ends_no_lease_and_lengthens_no_pause():
    with socket.create_server(("127.0.0.1", 0)) as server:
        agent = agent_of(server.getsockname()[1])
        agent._heard_s, agent._pause_s = 0.0, 1.0
        before_s = time.monotonic()

        def call() -> None:
            with contextlib.suppress(OSError):
                agent._call()

        calling = threading.Thread(target=call, daemon=True)
        calling.start()
        line = take_on(server)
        while agent._line is None:
            assert calling.is_alive()
            time.sleep(0.01)
        line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        line.close()
        calling.join(30.0)
        assert not calling.is_alive()
    agent._crew.dismiss()
    assert agent._heard_s >= before_s
    assert agent._pause_s < 1.0


def test_folders_of_agents_that_were_killed_are_removed_those_that_live_keep_theirs(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    ended = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True)
    dead, alive = (tmp_path / f"dnaml-agent-{pid}-x" for pid in (int(ended.stdout), os.getppid()))
    other = tmp_path / "dnaml-agent-notes"
    for folder in (dead, alive, other):
        folder.mkdir()
    mine = own_folder()
    assert sorted(tmp_path.iterdir()) == sorted([alive, other, mine])
