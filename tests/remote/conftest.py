"""One real service for each module of tests."""

from collections.abc import Iterator

import pytest

from tests.remote.served import Served, served


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Give a service on loopback that asks for no token."""
    with served(tmp_path_factory.mktemp("service")) as found:
        yield found
