"""Nothing that a worker started gets away: groups, sessions, double forks, cleaned environments."""

import os
import select
import signal
import subprocess
import sys
import textwrap
import uuid
from collections.abc import Iterator

import pytest

from dnaml.execution import orphans
from dnaml.execution.limits import Containment, Kind

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

# What stays behind must not hold the pipe on which we wait.
PRELUDE = """
import os, subprocess, sys
def sleeper(**options):
    return subprocess.Popen(['sleep', '1000'], stdout=subprocess.DEVNULL, **options).pid
"""

# Each prints the process id of what it leaves behind and ends.
GET_AWAY = {
    "a plain child": "print(sleeper())",
    "a child in a session of its own": "print(sleeper(start_new_session=True))",
    "a double fork": """
        if os.fork() == 0:
            os.setsid()
            print(sleeper(start_new_session=True), flush=True)
            os._exit(0)
        os.wait()
    """,
}


@pytest.fixture
def token() -> Iterator[str]:
    name = f"test-{uuid.uuid4().hex}"
    yield name
    orphans.kill_left_behind(name)


def run(code: str, token: str) -> subprocess.CompletedProcess[str]:
    """Run code in a process that carries the token, as a worker does."""
    lines = f"{PRELUDE}\n{textwrap.dedent(code)}"
    return subprocess.run(
        [sys.executable, "-c", lines],
        env={**os.environ, orphans.MARKER: token},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        start_new_session=True,
    )


def is_alive(pid: int) -> bool:
    return orphans.find(pid) is not None


@linux
@pytest.mark.parametrize("code", GET_AWAY.values(), ids=GET_AWAY)
def test_what_outlives_its_worker_is_found_by_its_marker_and_killed(code: str, token: str) -> None:
    left = int(run(code, token).stdout)
    assert orphans.left_behind(token) == [left]
    assert orphans.kill_left_behind(token) == 1
    assert not is_alive(left)
    assert orphans.left_behind(token) == []


@linux
def test_a_token_covers_the_tokens_below_it_and_no_others(token: str) -> None:
    child = subprocess.Popen(["sleep", "1000"], env={orphans.MARKER: f"{token}/inner"})
    other = subprocess.Popen(["sleep", "1000"], env={orphans.MARKER: f"{token}-other"})
    try:
        assert orphans.left_behind(token) == [child.pid]
        assert orphans.kill_left_behind(token) == 1
        assert child.wait() == -signal.SIGKILL
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


@linux
def test_the_engine_leaves_reaping_to_whoever_owns_the_child(token: str) -> None:
    child = subprocess.Popen(["sleep", "1000"], env={orphans.MARKER: token})
    ended = subprocess.Popen(["true"])
    os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
    orphans.kill_left_behind(token)
    assert (child.wait(), ended.wait()) == (-signal.SIGKILL, 0)


WORKER = """
from dnaml.execution import orphans
token = os.environ[orphans.MARKER]
assert orphans.become_subreaper()
assert not orphans.has_children()
# One that cleans its environment and escapes by two forks: only the subreaper still has it.
subprocess.run(['env', '-i', 'sh', '-c', 'setsid sleep 1000 > /dev/null & echo $!'])
sleeper(start_new_session=True)
subprocess.Popen(['true'])
assert orphans.has_children()
killed = orphans.kill_left_behind(token)
print(killed, orphans.has_children(), orphans.left_behind(token))
"""


@linux
def test_a_worker_kills_and_reaps_even_what_cleaned_its_environment_and_forked_twice(token: str) -> None:
    lines = run(WORKER, token).stdout.splitlines()
    assert lines[1] in ("2 False []", "3 False []")  # `true` may be killed before it ends by itself
    assert not is_alive(int(lines[0]))


@linux
def test_children_that_fork_while_they_are_killed_are_all_killed(token: str) -> None:
    code = "subprocess.Popen(['sh', '-c', 'while :; do sleep 1000 & sleep 0.01; done'], stdout=2)"
    run(code, token)
    assert orphans.kill_left_behind(token) >= 1
    assert orphans.left_behind(token) == []


BOMB = """
import os
input()
while True:
    try:
        if os.fork() == 0:
            os.setsid()
    except OSError:
        pass
"""


@linux
def test_a_fork_bomb_of_sessions_is_killed_by_its_marker_alone(token: str) -> None:
    with Containment.open("fence", pids=50) as fence:  # only so that the test cannot hurt the machine
        if fence.kind is Kind.WATCH:
            pytest.skip("no writable control group to contain the bomb meanwhile")
        environment = {**os.environ, orphans.MARKER: token}
        bomb = subprocess.Popen(
            [sys.executable, "-c", BOMB], stdin=subprocess.PIPE, env=environment, start_new_session=True
        )
        fence.attach(bomb.pid)
        assert bomb.stdin is not None
        bomb.stdin.write(b"\n")
        bomb.stdin.close()
        while len(fence.processes()) < 50:
            assert bomb.poll() is None
        assert orphans.kill_left_behind(token) >= 50
        assert fence.processes() == []
        assert bomb.wait() == -signal.SIGKILL


@linux
def test_a_process_that_took_over_a_dead_ones_id_is_not_killed() -> None:
    child = subprocess.Popen(["sleep", "1000"])
    try:
        seen = orphans.find(child.pid)
        assert seen is not None
        before = seen._replace(started=seen.started - 1)
        assert orphans.kill([before]) == []
        assert orphans.tree([before]) == []
        assert child.poll() is None
        assert orphans.kill([seen]) == [seen]
    finally:
        child.kill()
        child.wait()
    assert orphans.kill([seen]) == []
    assert orphans.find(child.pid) is None


def test_a_tree_holds_descendants_and_the_session_even_when_its_leader_is_dead() -> None:
    leader = subprocess.Popen(
        [sys.executable, "-c", f"{PRELUDE}\nprint(sleeper(), flush=True); input()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert leader.stdin is not None
    assert leader.stdout is not None
    child = int(leader.stdout.readline())
    root = orphans.find(leader.pid)
    assert root is not None
    assert {process.pid for process in orphans.tree([root])} == {leader.pid, child}
    leader.kill()
    leader.wait()
    assert [process.pid for process in orphans.tree([root])] == [child]
    assert orphans.kill_trees([root]) == 1
    assert orphans.kill_trees([root]) == 0
    leader.stdin.close()
    leader.stdout.close()


def test_a_group_is_killed_at_once_and_an_empty_one_is_said_to_be() -> None:
    child = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    assert orphans.kill_group(child.pid)
    assert child.wait() == -signal.SIGKILL
    assert not orphans.kill_group(child.pid)


DIES_WITH_PARENT = """
import os, sys, time
from dnaml.execution import orphans
assert orphans.die_with_parent(int(sys.argv[1]))
print(os.getpid(), flush=True)
time.sleep(1000)
"""
ENGINE = f"""
import os, subprocess, sys
command = [sys.executable, "-c", {DIES_WITH_PARENT!r}, str(os.getpid())]
worker = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
print(worker.stdout.readline(), flush=True)
os.kill(os.getpid(), 9)
"""


@linux
def test_a_worker_dies_with_the_engine_that_started_it() -> None:
    pid = int(subprocess.run([sys.executable, "-c", ENGINE], stdout=subprocess.PIPE, check=False).stdout)
    try:
        with open(os.pidfd_open(pid), "rb") as handle:
            assert select.select([handle], [], [], 10.0)[0]
    except ProcessLookupError:
        pass  # it is dead and reaped already
    assert not is_alive(pid)


def test_a_worker_whose_engine_is_already_gone_exits_at_once() -> None:
    code = "from dnaml.execution import orphans; orphans.die_with_parent(1 if __import__('os').getppid() != 1 else 2)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 1


def test_a_worker_inside_a_worker_gets_a_token_below_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(orphans.MARKER, raising=False)
    assert orphans.token_below("a") == "a"
    monkeypatch.setenv(orphans.MARKER, "outer")
    assert orphans.token_below("a") == "outer/a"


def test_the_process_table_lists_this_process_under_its_parent() -> None:
    own = next(process for process in orphans.processes() if process.pid == os.getpid())
    assert (own.parent, own.group, own.session) == (os.getppid(), os.getpgrp(), os.getsid(0))
    assert orphans.threads_of_user() >= 1


def test_without_proc_the_same_process_is_found_by_psutil() -> None:
    by_psutil = {process.pid: process for process in orphans._processes_by_psutil()}
    own = by_psutil[os.getpid()]
    assert (own.parent, own.group, own.session, own.zombie) == (os.getppid(), os.getpgrp(), os.getsid(0), False)
