"""Which release of dnaml runs here."""

from functools import cache
from importlib.metadata import version


@cache
def release() -> str:
    """Return the version of the package; its metadata, which take 2 ms to read, are read once."""
    return version("dnaml")
