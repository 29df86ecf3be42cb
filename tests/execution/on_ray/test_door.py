"""Agents that call while this process can open no more files are let in as soon as it can."""

import os
import resource
import socket
import threading
from pathlib import Path

import pytest

from benchmarks.faults.hollow_service import HollowCluster
from dnaml.core.events import Tick
from dnaml.execution.descriptors import raise_limit
from dnaml.execution.on_ray import RayBackend


@pytest.fixture
def limit():
    """Give the limit of open files back after the test."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield before
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_as_many_files_may_be_open_as_the_system_allows_and_asking_twice_changes_nothing(limit):
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(1024, limit[1]), limit[1]))
    allowed = raise_limit()
    assert allowed == resource.getrlimit(resource.RLIMIT_NOFILE)[0] == min(limit[1], 1 << 16)
    assert raise_limit() == allowed


class Nobody:
    """Hears of no attempt: none runs."""

    def look_around(self):
        """Find nothing."""


def test_an_agent_that_calls_while_no_file_can_be_opened_is_let_in_later(tmp_path: Path, limit):
    cluster = HollowCluster(0, ready_s=1.0)
    backend = RayBackend(tmp_path / "checkpoints", tmp_path / "logs", Nobody(), lambda: 0.0, cluster)
    with socket.create_connection(cluster.door.getsockname()) as caller:
        events = backend.events()
        free = os.dup(caller.fileno())
        os.close(free)
        resource.setrlimit(resource.RLIMIT_NOFILE, (free, limit[1]))
        backend.post(Tick(at_s=0.0))
        assert isinstance(next(events), Tick)
        caller.settimeout(0.0)
        with pytest.raises(BlockingIOError):
            caller.recv(1)
        resource.setrlimit(resource.RLIMIT_NOFILE, limit)
        rest = threading.Thread(target=lambda: list(events))
        rest.start()
        caller.settimeout(60.0)
        assert caller.recv(1)  # the engine greets first
        backend.close()
        rest.join()
