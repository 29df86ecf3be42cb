"""A8 on real raylets: the quick tier of the fault, with its bars."""

from pathlib import Path

import pytest

pytest.importorskip("ray")

from benchmarks.faults import a08_control_store_killed as fault

pytestmark = pytest.mark.soak


@pytest.mark.ray
@pytest.mark.serial
@pytest.mark.timeout(300)
def test_without_rays_control_store_work_goes_on_and_an_own_cluster_comes_back(tmp_path: Path):
    outcome = fault.measure(1, 0, tmp_path)
    assert outcome.passes, outcome.line()
