"""The error tree: one root, a branch for each kind of cause.

DnamlError
├── InputError (also ValueError)          the caller gave something that breaks a stated rule
│   ├── DnaVersionError                   two DNA layouts were about to be compared
│   ├── UnpicklableError                  a function or argument that cannot travel to a worker
│   └── RepeatedKeyError                  an idempotency key came again with another request
├── TransitionError                       an attempt was asked to make a move its state table forbids
├── CorruptError                          stored bytes do not match their checksum or schema
├── StateFolderError                      the state folder cannot be used (full, read-only, unreadable)
│   ├── StateInUseError                   another engine already works on it
│   ├── StorageUnavailable                it refuses for now (locked, full, read-only): try again later
│   └── FencedError                       another engine took over: this one may commit nothing more
├── MissingExtra (also ImportError)       an optional package is not installed
├── NotFoundError (also KeyError)         an id that nothing carries
└── ComputationError                      a computation ended without a result
    ├── ComputationFailed                 its own code raised, exited or was killed
    ├── ComputationLost                   it took down every resource it ran on, or none was left to try
    └── ComputationStopped                somebody asked it to stop
"""


class DnamlError(Exception):
    """Is the root of every error that dnaml raises on purpose."""


class InputError(DnamlError, ValueError):
    """Says that an argument, file or field breaks a rule; the message names thing, rule and value."""


class DnaVersionError(InputError):
    """Says that vectors of two DNA layouts were about to be mixed."""


class UnpicklableError(InputError):
    """Says that a function or an argument cannot be sent to a worker process."""


class RepeatedKeyError(InputError):
    """Says that an idempotency key was used before, with another request, and by which job."""


class TransitionError(DnamlError):
    """Says that an attempt was asked to make a move that the state table forbids."""


class CorruptError(DnamlError):
    """Says that stored bytes fail their checksum or schema; they are never used."""


class StateFolderError(DnamlError):
    """Says that the state folder cannot be used: full, read-only or not a folder."""


class StateInUseError(StateFolderError):
    """Says that another engine works on the state folder, and names its process id."""


class StorageUnavailable(StateFolderError):
    """Says that the storage refuses for now (locked, full, read-only) and when trying again makes sense."""

    def __init__(self, message: str, *, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class FencedError(StateFolderError):
    """Says that an engine of a later generation took over: this one accepts and commits nothing more."""


class MissingExtra(DnamlError, ImportError):
    """Says which extra to install: `pip install 'dnaml[extra]'`."""


class NotFoundError(DnamlError, KeyError):
    """Says that no job, resource or computation carries the id."""

    def __str__(self) -> str:
        """Return the message itself; KeyError would print its repr."""
        return str(self.args[0]) if self.args else ""


class ComputationError(DnamlError):
    """Is the base of the three ways in which a computation ends without a result."""


class ComputationFailed(ComputationError):
    """Says that the computation's own code exited or was killed by its own doing."""


class ComputationLost(ComputationError):
    """Says that the resources under the computation were lost until the retries ran out."""


class ComputationStopped(ComputationError):
    """Says that the computation was stopped on request before it had a result."""
