"""A cluster that wants a token lets in who has it; who has not is told so in time."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("ray")

pytestmark = [pytest.mark.ray, pytest.mark.soak, pytest.mark.timeout(240)]

# Ray's code reads the token once in a process: the cluster starts in one of its own.
_SCRIPT = """
import os
from benchmarks.ray_pool import Wanted, raylets
from dnaml.core.errors import InputError
from dnaml.execution.on_ray import Cluster

with raylets([Wanted(id="n0")]) as pool:
    right = os.environ["RAY_AUTH_TOKEN"]
    os.environ["RAY_AUTH_TOKEN"] = "b" * 64
    try:
        Cluster(pool.address)
    except InputError as error:
        print(error)
    os.environ["RAY_AUTH_TOKEN"] = right
    Cluster(pool.address).close()
    print("joined")
"""


def test_a_cluster_that_wants_a_token_is_joined_with_it_and_names_it_otherwise():
    environment = {**os.environ, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "a" * 64}
    ended = subprocess.run(
        [sys.executable, "-c", _SCRIPT],
        env=environment,
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=False,
    )
    refused, joined = ended.stdout.strip().splitlines()[-2:]
    assert "RAY_AUTH_TOKEN" in refused, ended.stderr
    assert joined == "joined"
