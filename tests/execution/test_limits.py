"""A containment holds a real process tree within its limits, by control group and by watch."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dnaml.core.errors import InputError
from dnaml.execution import cgroups, limits, orphans
from dnaml.execution.cgroups import Controller
from dnaml.execution.limits import Containment, Kind

MIB = 1 << 20
Start = Callable[[str], "subprocess.Popen[str]"]


def _driven(controller: Controller) -> bool:
    if sys.platform != "linux":
        return False
    group = cgroups.make("trial", frozenset({controller}))
    if group is not None:
        group.remove()
    return group is not None


needs = {
    controller: pytest.mark.skipif(not _driven(controller), reason=f"no writable control group for {controller.value}")
    for controller in Controller
}
linux = pytest.mark.skipif(sys.platform != "linux", reason="prlimit is Linux's")


@pytest.fixture
def start() -> Iterator[Start]:
    """Start code that waits for a line first, so that it can be attached before it does anything."""
    started: list[subprocess.Popen[str]] = []

    def begin(code: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-c", f"import os\ninput()\n{code}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def by_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run as on a machine that lets nobody make control groups."""
    monkeypatch.setattr(cgroups, "_MOUNT", Path("/nowhere"))
    monkeypatch.setattr(cgroups.make, "__defaults__", (Path("/nowhere"),))


def go(process: "subprocess.Popen[str]") -> str:
    """Let a started process run to its end and return what it printed."""
    return process.communicate("\n", timeout=60)[0].strip()


BOMB = """
while True:
    try:
        os.fork()
    except OSError:
        pass
"""


@needs[Controller.PIDS]
def test_a_fork_bomb_is_contained_and_killed_to_the_last_process(start: Start) -> None:
    with Containment.open("bomb", pids=16) as contained:
        process = start(BOMB)
        contained.attach(process.pid)
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
        deadline_s = time.monotonic() + 30
        while contained._group is not None and not contained._group.refused_forks() and time.monotonic() < deadline_s:
            assert len(contained.processes()) <= 16
        inside = contained.processes()
        assert 1 < len(inside) <= 16
        contained.kill()
        assert contained.processes() == []
        assert process.wait() == -signal.SIGKILL
        assert contained.exceeded(0, processes=17) is None  # the kernel's business, not the watch's


@needs[Controller.PIDS]
def test_after_a_kill_the_limit_is_back_and_another_worker_may_be_attached(start: Start) -> None:
    with Containment.open("again", pids=16) as contained:
        for _ in range(2):
            process = start("print(os.waitstatus_to_exitcode(os.system('true')))")
            contained.attach(process.pid)
            assert go(process) == "0"
            contained.kill()


@needs[Controller.MEMORY]
def test_too_much_memory_kills_the_worker_alone_and_is_counted(start: Start) -> None:
    with Containment.open("memory", memory_bytes=128 * MIB) as contained:
        greedy, modest = start("x = b'x' * (300 << 20); print('survived')"), start("print('survived')")
        contained.attach(greedy.pid)
        assert contained.oom_kills() == 0
        assert go(greedy) == ""
        assert greedy.returncode == -signal.SIGKILL
        assert contained.oom_kills() == 1
        assert go(modest) == "survived"
        assert contained.exceeded(1 << 40) is None


@needs[Controller.MEMORY]
def test_within_its_memory_a_worker_is_left_in_peace(start: Start) -> None:
    with Containment.open("modest", memory_bytes=128 * MIB) as contained:
        process = start("x = b'x' * (64 << 20); print(len(x))")
        contained.attach(process.pid)
        assert go(process) == str(64 * MIB)
        assert contained.oom_kills() == 0


@needs[Controller.CPU]
def test_a_cpu_share_slows_a_worker_down(start: Start) -> None:
    spin = "import time\nuntil = time.monotonic() + 1\nwhile time.monotonic() < until: pass\nprint(time.process_time())"
    with Containment.open("slow", cpu_quota_share=0.25) as contained:
        process = start(spin)
        contained.attach(process.pid)
        assert float(go(process)) < 0.5
        assert contained.unenforced == ()


@needs[Controller.PIDS]
def test_what_left_the_session_is_still_inside(start: Start) -> None:
    escape = "import subprocess\nprint(subprocess.Popen(['setsid', 'env', '-i', 'sleep', '1000'], stdout=2).pid)"
    with Containment.open("escape") as contained:
        process = start(escape)
        contained.attach(process.pid)
        left = int(go(process))
        assert contained.processes() == [left]
        contained.close()
        contained.close()
    assert orphans.find(left) is None  # a zombie at most


@linux
@pytest.mark.usefixtures("by_watch")
def test_without_control_groups_a_containment_says_so_and_what_nothing_enforces() -> None:
    with Containment.open("watched", memory_bytes=MIB, pids=4, cpu_quota_share=0.5) as contained:
        assert contained.kind is Kind.WATCH
        assert contained.unenforced == ("cpu_quota_share",)
        assert contained.oom_kills() == 0


@pytest.mark.usefixtures("by_watch")
def test_the_watch_names_the_limit_that_a_sample_breaks() -> None:
    with Containment.open("gpu0", memory_bytes=1000, pids=4) as contained:
        assert contained.exceeded(1000, processes=4) is None
        assert contained.exceeded(1001) == "gpu0: memory_bytes must be at most 1000, got 1001"
        assert contained.exceeded(0, processes=5) == "gpu0: pids must be at most 4, got 5"
    with Containment.open("free") as unlimited:
        assert unlimited.exceeded(1 << 60, processes=1 << 20) is None


@linux
@pytest.mark.usefixtures("by_watch")
def test_under_the_watch_fast_growth_ends_in_a_memory_error(start: Start) -> None:
    grow = "try:\n    b'x' * (512 << 20)\nexcept MemoryError:\n    print('refused')"
    with Containment.open("fast", memory_bytes=64 * MIB) as contained:
        process = start(grow)
        contained.attach(process.pid)
        assert go(process) == "refused"


@linux
@pytest.mark.usefixtures("by_watch")
def test_under_the_watch_the_whole_tree_is_found_and_killed(start: Start) -> None:
    with Containment.open("tree") as contained:
        process = start("import subprocess\nprint(subprocess.Popen(['sleep', '1000'], stdout=2).pid)")
        contained.attach(process.pid)
        assert contained.processes() == [process.pid]
        left = int(go(process))
        assert contained.processes() == [left]
        contained.kill()
        assert contained.processes() == []


@linux
def test_open_files_are_limited_for_each_process(start: Start) -> None:
    flood = "try:\n    files = [open(os.devnull) for _ in range(100)]\nexcept OSError as error:\n    print(error.errno)"
    with Containment.open("files", open_files=32) as contained:
        process = start(flood)
        contained.attach(process.pid)
        assert int(go(process)) == 24  # EMFILE


@linux
def test_a_process_can_limit_itself_from_inside(start: Start) -> None:
    code = """
import resource
from dnaml.execution.limits import Containment
with Containment.open("inside", open_files=48) as contained:
    contained.limit_self()
print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""
    assert go(start(code)) == "48"


@linux
@pytest.mark.usefixtures("by_watch")
def test_where_processes_are_not_counted_by_a_group_the_user_may_start_a_few_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    contained = Containment.open("user", pids=10)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    (_, value), *_ = contained._rlimits()
    assert value > 10 + limits._NPROC_HEADROOM
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert contained._rlimits() == []  # root is exempt: the watch has to do it


@pytest.mark.parametrize(
    ("field", "value"), [("memory_bytes", 0), ("pids", -1), ("cpu_quota_share", float("nan")), ("open_files", 0)]
)
def test_a_limit_that_is_not_positive_is_refused(field: str, value: float) -> None:
    with pytest.raises(InputError, match=f"gpu0: {field} must be positive, got {value}"):
        Containment.open("gpu0", **{field: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["", "a/b", "..", "a b"])
def test_a_name_that_could_not_be_a_folder_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="containment name"):
        Containment.open(name)


def test_attaching_a_process_that_has_ended_is_an_error() -> None:
    child = subprocess.Popen(["true"])
    child.wait()
    with Containment.open("late") as contained, pytest.raises(ProcessLookupError, match="late: process"):
        contained.attach(child.pid)
