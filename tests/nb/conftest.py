"""One batch that really ran, for every test of the notebook helpers."""

import matplotlib
import pytest

from dnaml.client import Executor
from dnaml.core.resource import Resource
from tests import work

POOL = (
    Resource(id="plain", price_usd_per_h=0.4, power_w=60.0, memory_bytes=8 << 30),
    Resource(id="checked", price_usd_per_h=0.1, environment={"PYTHONMALLOC": "malloc_debug"}, memory_bytes=4 << 30),
)
BATCH = 8


@pytest.fixture(scope="session", autouse=True)
def _without_display():
    matplotlib.use("Agg")


@pytest.fixture(autouse=True)
def _closed_figures():
    yield
    from matplotlib import pyplot

    pyplot.close("all")


@pytest.fixture(scope="session")
def batch(tmp_path_factory):
    """Return the state folder of two rounds of the same work on two resources that differ, and one failure."""
    folder = tmp_path_factory.mktemp("batch") / "state"
    with Executor(POOL, state=folder, cores=2, objective="min_latency") as executor:
        for _ in range(2):
            futures = [executor.submit(work.double, number) for number in range(BATCH // 2)]
            assert [future.result() for future in futures] == [2 * number for number in range(BATCH // 2)]
        failed = executor.submit(work.raises, "on purpose")
        assert isinstance(failed.exception(), ValueError)
    return folder
