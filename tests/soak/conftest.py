"""Leaves the long tests out of a run that does not name them."""

from pathlib import Path

import pytest


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Ignore this folder unless it was asked for by name."""
    asked = any("soak" in str(argument) for argument in config.args)
    return None if asked or collection_path.name == "conftest.py" else True
