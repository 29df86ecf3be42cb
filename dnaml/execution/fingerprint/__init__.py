"""What a computation demands, before it is placed: named for nothing, measured by a bounded pilot when asked."""

from dnaml.execution.fingerprint.naming import computation_of, computation_of_argv

__all__ = ["computation_of", "computation_of_argv"]
