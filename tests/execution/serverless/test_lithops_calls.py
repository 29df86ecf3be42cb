"""Functions through Lithops, on its provider that is this machine; without Lithops the extra is named."""

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import dnaml
from dnaml.core.errors import ComputationFailed, InputError, MissingExtra
from dnaml.core.resource import Site
from dnaml.engine import EngineSettings
from dnaml.execution.serverless import LithopsFunction, serverless
from tests.execution.serverless.work import double, fails

HERE: dict[str, Any] = {
    "lithops": {"backend": "localhost", "storage": "localhost", "monitoring_interval": 0.1},
    "localhost": {"runtime": sys.executable},
}
needs_lithops = pytest.mark.skipif(find_spec("lithops") is None, reason="Lithops is not installed")


@needs_lithops
@pytest.mark.serial
@pytest.mark.timeout(120)
def test_calls_come_back_from_lithops_with_what_they_used(tmp_path: Path):
    settings = EngineSettings(open_backend=serverless({"fn": LithopsFunction(config=HERE)}))
    resource = dnaml.Resource(id="fn", site=Site.SERVERLESS, domain="away", slots=2)
    with dnaml.Executor([resource], state=tmp_path, settings=settings) as pool:
        assert list(pool.map(double, [1, 2, 3])) == [2, 4, 6]
        assert pool.submit(sum, range(5)).result(60) == 10
        with pytest.raises((ComputationFailed, ValueError), match="no luck"):
            pool.submit(fails).result(60)
        warmth = pool._engine.backend.warmth("fn")
    assert warmth.colds + warmth.warms >= 4


@needs_lithops
def test_a_configuration_that_lithops_refuses_is_named():
    wrong = {"lithops": {"backend": "no_such_cloud", "storage": "localhost"}}
    with pytest.raises(InputError, match="fn: Lithops does not accept its configuration"):
        serverless({"fn": LithopsFunction(config=wrong)})


def test_without_lithops_the_extra_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "lithops", None)
    with pytest.raises(MissingExtra, match=r"dnaml\[serverless\]"):
        serverless({"fn": LithopsFunction(config=HERE)})
