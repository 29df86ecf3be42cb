"""Control groups are made below our own, driven through either interface, and leave nothing behind."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dnaml.execution import cgroups
from dnaml.execution.cgroups import Controller, Group, Version

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="control groups are Linux's")
ALL = frozenset(Controller)


@pytest.fixture
def real() -> Group:
    group = cgroups.make("real", ALL)
    if group is None:
        pytest.skip("no writable control group")
    return group


def test_a_group_lies_below_our_own_and_is_gone_after_remove(real: Group) -> None:
    own = Path("/proc/self/cgroup").read_text()
    for folder in real.folders.values():
        assert folder.is_dir()
        assert folder.name == f"dnaml-{os.getpid()}-real"
        mount = Path("/sys/fs/cgroup")
        home = "/" + "/".join(folder.parent.relative_to(mount).parts[1 if real.version is Version.V1 else 0 :])
        assert f":{home}\n" in own or real.version is Version.V2
    real.remove()
    assert not any(folder.exists() for folder in real.folders.values())


def test_remove_kills_what_is_inside(real: Group) -> None:
    child = subprocess.Popen(["sleep", "1000"])
    real.attach(child.pid)
    assert real.processes() == [child.pid]
    real.remove()
    assert child.wait() == -9


def test_limits_are_set_and_lifted(real: Group) -> None:
    for controller, value in ((Controller.MEMORY, 1 << 27), (Controller.PIDS, 50), (Controller.CPU, 0.5)):
        if controller in real.folders:
            real.limit(controller, value)
            real.limit(controller, None)
            real.limit(controller, value * 2)
    assert (real.oom_kills(), real.refused_forks()) == (0, 0)
    real.remove()


def test_a_dropped_controller_is_driven_no_more(real: Group) -> None:
    controller = next(iter(real.folders))
    folder = real.folders[controller]
    real.drop(controller)
    assert controller not in real.folders
    assert real.version is Version.V2 or not folder.exists()
    real.remove()


def test_the_empty_group_of_a_dead_maker_is_swept_away(real: Group) -> None:
    dead = subprocess.Popen(["true"])
    dead.wait()
    home = next(iter(real.folders.values())).parent
    stale = home / f"dnaml-{dead.pid}-stale"
    stale.mkdir()
    second = cgroups.make("second", ALL)
    assert second is not None
    assert not stale.exists()
    second.remove()
    real.remove()


def test_where_nothing_is_mounted_there_is_no_group(tmp_path: Path) -> None:
    assert cgroups.make("none", ALL, tmp_path / "nowhere") is None


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_where_we_may_not_write_there_is_no_group() -> None:
    assert cgroups.make("none", ALL, Path("/sys/fs/cgroup")) is None


# Version 2 as files: which file gets which text. The kernel behind it is exercised where it is mounted so.


def v2(tmp_path: Path, *, enabled: str) -> Path:
    (tmp_path / "cgroup.controllers").write_text("cpu memory pids\n")
    (tmp_path / "cgroup.subtree_control").write_text(enabled)
    return tmp_path


def v2_group(tmp_path: Path) -> Group:
    folder = tmp_path / "group"
    folder.mkdir()
    for name in ("memory.swap.max", "memory.oom.group"):
        (folder / name).touch()
    return Group(version=Version.V2, folders=dict.fromkeys(Controller, folder))


def test_version_2_takes_its_limits_from_one_folder(tmp_path: Path) -> None:
    group = v2_group(tmp_path)
    folder = group.folders[Controller.CPU]
    group.limit(Controller.MEMORY, 1 << 20)
    group.limit(Controller.PIDS, 7)
    group.limit(Controller.CPU, 1.5)
    written = {path.name: path.read_text() for path in folder.iterdir()}
    assert written == {
        "memory.max": "1048576",
        "memory.swap.max": "0",
        "memory.oom.group": "1",
        "pids.max": "7",
        "cpu.max": "150000 100000",
    }
    group.limit(Controller.CPU, None)
    group.limit(Controller.MEMORY, None)
    assert (folder / "cpu.max").read_text() == "max 100000"
    assert (folder / "memory.max").read_text() == "max"


def test_version_2_counts_kills_and_refusals_from_its_event_files(tmp_path: Path) -> None:
    group = v2_group(tmp_path)
    folder = group.folders[Controller.MEMORY]
    (folder / "memory.events").write_text("low 0\noom 3\noom_kill 2\noom_group_kill 1\n")
    (folder / "pids.events").write_text("max 5\n")
    assert (group.oom_kills(), group.refused_forks()) == (2, 5)
    nothing = Group(version=Version.V2, folders={})
    assert (nothing.oom_kills(), nothing.refused_forks()) == (0, 0)


def test_version_2_without_delegated_controllers_makes_no_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mount = v2(tmp_path, enabled="")
    monkeypatch.setattr(cgroups, "_write_if_there", lambda path, value: None)  # the kernel refuses: busy
    assert cgroups.make("none", ALL, mount) is None


UNIFIED = Path("/sys/fs/cgroup/unified")


@pytest.mark.skipif(not os.access(UNIFIED / "cgroup.procs", os.W_OK), reason="no writable version 2 hierarchy")
def test_version_2_kills_a_real_group_by_one_write() -> None:
    folder = UNIFIED / f"dnaml-{os.getpid()}-kill"
    folder.mkdir()
    group = Group(version=Version.V2, folders={Controller.CPU: folder})
    children = [subprocess.Popen(["sleep", "1000"]) for _ in range(3)]
    for child in children:
        group.attach(child.pid)
    assert group.processes() == sorted(child.pid for child in children)
    group.remove()
    assert [child.wait() for child in children] == [-9, -9, -9]
    assert not folder.exists()
