"""E7 with fewer nodes: all come back at once, none is lost, and no request is refused meanwhile."""

from pathlib import Path

import pytest

from benchmarks.faults import e07_reconnect as fault
from tests.faults.judged import judged


@pytest.mark.serial
@pytest.mark.soak
@pytest.mark.timeout(240)
def test_nodes_whose_connections_all_end_at_once_are_all_back(tmp_path: Path):
    judged(fault.measure(1, 0, tmp_path, nodes=100), busy=("all_back", "request_p99"))
