"""The collector of one attempt, over both ways to read a process tree."""

import os
import socket
import sys

import pytest

from dnaml.telemetry import attempt
from dnaml.telemetry.attempt import TreeSampler, open_tree
from dnaml.telemetry.proc_tree import ProcTree
from dnaml.telemetry.psutil_tree import PsutilTree
from tests.telemetry.conftest import BURN

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
TREES = [pytest.param(ProcTree, marks=linux), PsutilTree]
SPAWN = "held.append(subprocess.Popen([sys.executable, '-c', {!r}], stdin=subprocess.PIPE, stdout=subprocess.PIPE))"
CHILD = """
import sys
big = bytearray(40 << 20)
for i in range(0, len(big), 4096):
    big[i] = 1
print(flush=True)
sys.stdin.read()
"""


@pytest.fixture(params=TREES)
def sampler(request, servant, monkeypatch):
    monkeypatch.setattr(attempt, "open_tree", request.param)
    with TreeSampler(servant.pid) as opened:
        yield opened


def test_processor_time_is_that_of_the_process(sampler, servant):
    before = sampler.sample(full=True)
    servant.do(BURN.format(0.2))
    after = sampler.sample(full=True)
    assert 0.15 <= after["cpu_s"] - before["cpu_s"] <= 0.6
    assert after["cpu_s"] == pytest.approx(after["cpu_user_s"] + after["cpu_system_s"], abs=0.05)


def test_a_cheap_sample_has_the_processor_time_alone(sampler, servant):
    full = sampler.sample()
    cheap = sampler.sample()
    assert "memory_bytes" in full
    assert set(cheap) == {"cpu_s"}
    assert cheap["cpu_s"] >= full["cpu_s"] - 0.02


def test_everything_is_read_again_once_it_is_due(servant):
    with TreeSampler(servant.pid, full_every_s=0.0) as sampler:
        assert all("memory_bytes" in sampler.sample() for _ in range(3))


def test_children_and_their_memory_are_counted_and_kept_in_the_peak(sampler, servant):
    alone = sampler.sample(full=True)
    servant.do(SPAWN.format(CHILD) + ";;held[-1].stdout.readline()")
    both = sampler.sample(full=True)
    assert (alone["processes"], both["processes"]) == (1.0, 2.0)
    assert both["memory_bytes"] - alone["memory_bytes"] >= 40 << 20
    servant.do("held[-1].stdin.close();;held[-1].wait()")
    after = sampler.sample(full=True)
    assert after["processes"] == 1.0
    assert after["memory_bytes"] < both["memory_bytes"]
    assert after["peak_memory_bytes"] >= both["memory_bytes"]


def test_the_time_of_a_child_that_ended_is_kept(sampler, servant):
    servant.do(SPAWN.format(CHILD) + ";;held[-1].stdout.readline()")
    with_child = sampler.sample(full=True)
    servant.do("held[-1].stdin.close();;held[-1].wait()")
    assert sampler.sample(full=True)["cpu_s"] >= with_child["cpu_s"]


def test_counters_never_fall_while_children_come_and_go(sampler, servant):
    rising = ("cpu_s", "cpu_user_s", "cpu_system_s", "minor_faults", "voluntary_switches")
    last = dict.fromkeys(rising, 0.0)
    for _ in range(4):
        servant.do(SPAWN.format(CHILD) + ";;held[-1].stdout.readline()")
        for _ in range(2):
            now = sampler.sample(full=True)
            assert all(now.get(key, 0.0) >= last[key] for key in rising)
            last |= {key: now[key] for key in rising if key in now}
        servant.do("held[-1].kill();;held[-1].wait()")


def test_threads_and_switches_are_counted(sampler, servant):
    before = sampler.sample(full=True)
    servant.do("gate = threading.Event();;held.append(gate);;threading.Thread(target=gate.wait, daemon=True).start()")
    after = sampler.sample(full=True)
    assert after["threads"] == before["threads"] + 1
    assert after["voluntary_switches"] > before["voluntary_switches"]


def test_a_process_that_is_gone_gives_empty_samples(sampler, servant):
    servant.end()
    assert sampler.sample(full=True) == {}
    assert sampler.sample() == {}
    assert sampler.pids() == ()


def test_a_process_that_never_was_gives_empty_samples():
    with TreeSampler(2**22 - 1) as sampler:
        assert sampler.sample() == {}


def test_a_process_that_ends_between_full_samples_is_noticed_by_a_cheap_one(sampler, servant):
    servant.do(SPAWN.format(CHILD) + ";;held[-1].stdout.readline()")
    sampler.sample(full=True)
    servant.do("held[-1].kill();;held[-1].wait()")
    assert sampler.sample().get("processes") == 1.0


@linux
def test_bytes_read_and_written_are_counted(servant, tmp_path):
    with TreeSampler(servant.pid) as sampler:
        before = sampler.sample(full=True)
        servant.do(f"file = open({str(tmp_path / 'x')!r}, 'wb');;file.write(bytes(3 << 20));;file.close()")
        after = sampler.sample(full=True)
    assert after["written_bytes"] - before["written_bytes"] == pytest.approx(3 << 20, abs=1000)


@linux
def test_a_child_started_by_a_thread_is_found(servant):
    with TreeSampler(servant.pid) as sampler:
        sampler.sample(full=True)
        servant.do(
            "done, gate = threading.Event(), threading.Event()"
            ";;spawn = lambda: held.append(subprocess.Popen([sys.executable, '-c', 'input()'], stdin=subprocess.PIPE))"
            ";;threading.Thread(target=lambda: (spawn(), done.set(), gate.wait()), daemon=True).start();;done.wait()"
        )
        assert sampler.sample(full=True)["processes"] == 2.0


@linux
def test_an_orphan_that_left_its_parent_is_still_followed(servant):
    middle = (
        f"import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', {CHILD!r}], stdin=0, stdout=1); p.wait()"
    )
    with TreeSampler(servant.pid) as sampler:
        servant.do(SPAWN.format(middle) + ";;held[-1].stdout.readline()")
        assert sampler.sample(full=True)["processes"] == 3.0
        servant.do("held[-1].kill();;held[-1].wait()")
        assert sampler.sample(full=True)["processes"] == 2.0


@linux
def test_bytes_of_tcp_connections_are_counted(servant):
    with socket.create_server(("127.0.0.1", 0)) as server, TreeSampler(servant.pid) as sampler:
        if "tcp_sent_bytes" not in sampler.sample(full=True):
            pytest.skip("this kernel does not tell the bytes of connections")
        servant.do(f"held.append(socket.create_connection(('127.0.0.1', {server.getsockname()[1]})))")
        peer, _ = server.accept()
        with peer:
            servant.do("held[0].sendall(bytes(5000))")
            peer.sendall(bytes(700))
            received = 0
            while received < 5000:
                received += len(peer.recv(5000))
            servant.do("held[0].recv(700, socket.MSG_WAITALL)")
            sampled = sampler.sample(full=True)
    assert (sampled["tcp_sent_bytes"], sampled["tcp_received_bytes"]) == (5000.0, 700.0)


def test_the_way_to_read_is_chosen_by_the_system():
    tree = open_tree(os.getpid())
    assert isinstance(tree, ProcTree if os.path.exists("/proc/self/stat") else PsutilTree)
    tree.close()


@linux
def test_closing_frees_every_descriptor(servant):
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        with TreeSampler(servant.pid) as sampler:
            sampler.sample(full=True)
    assert len(os.listdir("/proc/self/fd")) == before
