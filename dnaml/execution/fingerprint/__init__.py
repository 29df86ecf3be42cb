"""What a computation demands, before it is placed: named for nothing, measured by a bounded pilot when asked."""

from typing import TYPE_CHECKING, Any

from dnaml.execution.fingerprint.naming import computation_of, computation_of_argv

if TYPE_CHECKING:
    from dnaml.execution.fingerprint.measure import Fingerprint, fingerprint, measured

__all__ = ["Fingerprint", "computation_of", "computation_of_argv", "fingerprint", "measured"]


def __getattr__(name: str) -> Any:  # Any: a function or a class
    """Load what measures on first use: whoever only names computations pays nothing for it."""
    if name in ("Fingerprint", "fingerprint", "measured"):
        from dnaml.execution.fingerprint import measure

        return getattr(measure, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
