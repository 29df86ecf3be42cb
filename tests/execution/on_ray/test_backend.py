"""The back end on real raylets: users' calls, late and leaving nodes, strangers, versions, a Ray user's way in."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ray")

import dnaml
from benchmarks.ray_pool import RayPool, Wanted, raylets
from dnaml.datasets.samples import SampleStore
from dnaml.engine import EngineSettings
from dnaml.execution.messages import FrameReader
from dnaml.execution.on_ray import Raylets, RaySettings, on_ray, wire
from dnaml.execution.providers.nodes import NodeProvider
from dnaml.execution.providers.provider import Order
from tests import work

pytestmark = [pytest.mark.ray, pytest.mark.timeout(240)]


def node(name: str, **more: Any) -> Wanted:
    return Wanted(id=name, environment={"TEST_NODE": name}, **more)


@pytest.fixture(scope="module")
def pool() -> Iterator[RayPool]:
    with raylets([node("n0"), node("n1", labels={"tier": "cloud"}, amounts={"fast_disk": 1.0})]) as pool:
        yield pool


@pytest.fixture(scope="module")
def executor(pool: RayPool, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dnaml.Executor]:
    settings = EngineSettings(open_backend=on_ray(pool.address, RaySettings(probe=False)))
    with dnaml.Executor(state=tmp_path_factory.mktemp("state"), settings=settings) as executor:
        yield executor


def known(executor: dnaml.Executor) -> dict[str, dnaml.Resource]:
    return {resource.id: resource for resource in executor._engine.controller.pool.resources}


def wait_for(condition, timeout_s: float = 120.0) -> float:
    began_s = time.monotonic()
    while not condition():
        assert time.monotonic() - began_s < timeout_s
        time.sleep(0.02)
    return time.monotonic() - began_s


def only(*ids: str) -> dnaml.Constraints:
    return dnaml.Constraints(resource_ids=ids)


def where() -> str:
    return os.environ["TEST_NODE"]


def test_calls_run_where_they_were_sent_and_errors_come_back(executor: dnaml.Executor):
    for name in ("n0", "n1"):
        assert executor.options(constraints=only(name)).submit(where).result(60) == name
    assert list(executor.map(work.double, range(5))) == [0, 2, 4, 6, 8]
    with pytest.raises(ValueError, match="no luck"):
        executor.submit(work.raises, "no luck").result(60)


def test_what_ray_says_of_a_node_is_what_constraints_ask_for(executor: dnaml.Executor):
    assert known(executor)["n1"].labels["tier"] == "cloud"
    cloud = executor.options(constraints=dnaml.Constraints(labels={"tier": "cloud", "fast_disk": "1"}))
    assert cloud.submit(where).result(60) == "n1"


def test_a_call_that_no_label_matches_says_so(executor: dnaml.Executor):
    future = executor.options(constraints=dnaml.Constraints(labels={"tier": "moon"})).submit(work.double, 1)
    wait_for(lambda: "moon" in future._waits_because or future.done())
    future.cancel()


def test_what_a_call_prints_is_found_as_if_it_ran_here(executor: dnaml.Executor):
    executor.submit(work.prints_binary).result(60)
    logs = b"".join(path.read_bytes() for path in (executor.state / "logs").iterdir())
    assert bytes(range(256)) in logs


def test_a_node_that_scaling_buys_is_taken_on_and_one_that_goes_back_is_missed(executor: dnaml.Executor, pool: RayPool):
    with closing(Raylets(pool.address)) as nodes:
        provider = NodeProvider("raylets", nodes, {"late": dnaml.Resource(id="late", labels={"tier": "late"})})
        order = Order(token="late-0", template="late", until_s=0.0)
        name = provider.acquire(order).id
        assert provider.acquire(order).id == name, "the same token buys nothing twice"
        wait_for(lambda: name in known(executor))
        late = executor.options(constraints=dnaml.Constraints(labels={"tier": "late"}))
        assert late.submit(work.double, 4).result(60) == 8
        assert provider.alive(name)
        assert provider.billed() == {name: "late"}
        provider.release(name)
        assert not provider.alive(name)
        wait_for(lambda: name not in known(executor))


def test_who_does_not_know_the_token_is_hung_up_on(executor: dnaml.Executor):
    line, challenge = greeting(executor)
    line.sendall(hello(b"wrong", challenge, "3.11.0", "0"))
    assert line.recv(1000) == b""


def test_another_python_or_dnaml_is_refused_by_name(executor: dnaml.Executor):
    token = executor._engine.backend.cluster.token
    for python, version, words in (
        ("2.7.18", "0", "Python must be"),
        (sys.version.split()[0], "0.0.0", "dnaml must be"),
    ):
        line, challenge = greeting(executor)
        line.sendall(hello(token, challenge, python, version))
        (frame,) = FrameReader().feed(line.recv(10_000))
        (said,) = wire.for_agent(wire.Conversation().hear(frame))
        assert isinstance(said, wire.Refused)
        assert words in said.reason


def greeting(executor: dnaml.Executor) -> tuple[socket.socket, wire.Challenge]:
    line = socket.create_connection(executor._engine.backend.cluster.door.getsockname(), timeout=10)
    (frame,) = FrameReader().feed(line.recv(10_000))
    (challenge,) = wire.for_agent(wire.Conversation().hear(frame))
    assert isinstance(challenge, wire.Challenge)
    return line, challenge


def hello(token: bytes, challenge: wire.Challenge, python: str, version: str) -> bytes:
    proof = wire.proof(token, "agent", challenge.nonce)
    message = wire.Hello(wire.PROTOCOL, proof, b"n", "stranger", "s", 0, python, version, [], True, False)
    return wire.Conversation().aside(message)


def test_a_broken_connection_costs_no_attempt(executor: dnaml.Executor, tmp_path: Path):
    future = executor.submit(work.waits_for, str(tmp_path / "go"), 30.0)
    wait_for(lambda: future.job_id in {name.rpartition(".")[0] for name in executor.running()})
    backend = executor._engine.backend
    for peer in list(backend._peers.by_node.values()):
        peer.link._line.shutdown(socket.SHUT_RDWR)
    (tmp_path / "go").touch()
    assert future.result(60) is True
    assert len(future.record.attempts) == 1


def test_telemetry_of_the_nodes_is_kept_beside_the_engines_own(executor: dnaml.Executor):
    def told() -> set[str]:
        with SampleStore(executor.state / "samples.sqlite") as store:
            return {row.resource_id for row in store.rows()}

    wait_for(lambda: {"n0", "n1"} <= told())
    states = executor._engine.controller.pool.states
    wait_for(lambda: states["n0"].free_memory_bytes is not None)


def test_a_ray_users_function_is_pinned_where_it_runs_best(pool: RayPool, tmp_path: Path):
    script = tmp_path / "user.py"
    script.write_text(
        "import sys, ray\n"
        "from dnaml.core.errors import InputError\n"
        "from dnaml.core.work import Constraints\n"
        "from dnaml.execution.on_ray import Placer, place, survey\n"
        "ray.init(address=sys.argv[1], log_to_driver=False)\n"
        "@ray.remote\n"
        "def where():\n"
        "    return ray.get_runtime_context().get_node_id()\n"
        "placer = Placer(resources=survey(probe=False), constraints=Constraints(labels={'tier': 'cloud'}))\n"
        "options = place(where, placer=placer)\n"
        "cloud = [n['NodeID'] for n in ray.nodes() if n['Labels'].get('tier') == 'cloud' and n['Alive']]\n"
        "assert [ray.get(where.options(**options).remote())] == cloud\n"
        "assert place(where)['scheduling_strategy'].soft is False\n"
        "try:\n"
        "    place(where, placer=Placer(constraints=Constraints(labels={'tier': 'moon'})))\n"
        "except InputError as error:\n"
        "    assert 'moon' in str(error), error\n"
        "    print('placed')\n"
    )
    ended = subprocess.run([sys.executable, script, pool.address], capture_output=True, text=True, check=False)
    assert ended.stdout.strip() == "placed", ended.stderr
