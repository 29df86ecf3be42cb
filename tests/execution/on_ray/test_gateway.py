"""Addresses that do not answer, or answer wrongly, and versions that are too old are told in plain words, and soon."""

import contextlib
import socket
import subprocess
import sys
import threading
import time

import pytest

from dnaml.core.errors import InputError
from dnaml.execution.messages import FrameReader
from dnaml.execution.on_ray import Cluster, gateway


def test_a_version_of_ray_that_is_too_old_is_named():
    gateway.check_version("2.60.0")
    with pytest.raises(RuntimeError, match=r"must be 2\.50 or later, got 2\.9\.3"):
        gateway.check_version("2.9.3")


@pytest.mark.parametrize("address", ["ray://host:10001", "host", "http://host:1", "host:port"])
def test_an_address_that_is_none_is_refused_before_anything_is_tried(address: str):
    with pytest.raises(ValueError, match="auto, local or HOST:PORT"):
        gateway.reach(address)


def test_a_port_where_nobody_listens_is_refused():
    with pytest.raises(OSError, match="refused"):
        gateway.reach("127.0.0.1:1")


def test_a_port_that_only_listens_is_given_up_in_time():
    with socket.create_server(("127.0.0.1", 0)) as server:
        began_s = time.monotonic()
        with pytest.raises(OSError, match="timed out"):
            gateway.reach(f"127.0.0.1:{server.getsockname()[1]}", 0.3)
        assert time.monotonic() - began_s < 5.0


def test_a_server_of_another_kind_is_told_from_rays():
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            line = server.accept()[0]
            line.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            line.recv(100)
            line.close()

        threading.Thread(target=answer, daemon=True).start()
        with pytest.raises(ConnectionError, match="not Ray's control store"):
            gateway.reach(f"127.0.0.1:{server.getsockname()[1]}")


class Store:
    """Listens as Ray's control store does: greets everybody as an HTTP/2 server does, unless it is `frozen`."""

    def __init__(self) -> None:
        self.frozen = threading.Event()
        self._server = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._server.getsockname()[1]}"
        threading.Thread(target=self._greet, daemon=True).start()

    def _greet(self) -> None:
        while True:
            with self._server.accept()[0] as line, contextlib.suppress(OSError):
                if not self.frozen.is_set():
                    line.sendall(bytes((0, 0, 0, 4, 0, 0, 0, 0, 0)))
                while line.recv(100):
                    pass


class StuckRay:
    """Stands for Ray's code while its control store is gone: a call waits, for up to a minute."""

    def __init__(self) -> None:
        self.asked = threading.Event()

    def nodes(self) -> list[object]:
        self.asked.set()
        threading.Event().wait()
        return []


def test_a_lost_control_store_is_told_while_rays_own_call_waits_for_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(gateway, "_SILENT_S", 0.2)
    near, far = socket.socketpair()
    near.settimeout(30.0)
    store, ray, told = Store(), StuckRay(), FrameReader()
    watching = gateway.Gateway(far)
    threading.Thread(target=watching._watch, args=(ray, store.address), daemon=True).start()
    assert ray.asked.wait(30.0)
    store.frozen.set()
    (frame,) = told.feed(near.recv(10_000))
    assert isinstance(gateway.decode(frame), gateway.ControlLost)
    store.frozen.clear()
    (frame,) = told.feed(near.recv(10_000))
    assert isinstance(gateway.decode(frame), gateway.ControlBack)


@pytest.mark.ray
def test_joining_nobody_fails_within_ten_seconds_and_leaves_no_process():
    began_s = time.process_time()
    with pytest.raises(InputError, match=r"no Ray cluster at 127\.0\.0\.1:1: .*refused"):
        Cluster("127.0.0.1:1")
    assert time.process_time() - began_s < 10.0


def test_without_ray_the_extra_is_named():
    code = (
        "import sys; sys.modules['ray'] = None\n"
        "from dnaml.execution.on_ray.gateway import Refused\n"
        "from dnaml.execution.on_ray.cluster import Cluster\n"
        "Cluster.refuse(object(), Refused('Ray is not installed', missing=True))\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "MissingExtra: Ray is not installed; install it with: pip install 'dnaml[ray]'" in ended.stderr
