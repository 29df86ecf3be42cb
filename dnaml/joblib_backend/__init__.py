"""Lets joblib, and by it scikit-learn, run on dnaml: `register()` once, then `joblib.parallel_backend("dnaml")`.

Each batch of joblib's is a job of its own: placed by prediction, recorded, explained, and run again if its worker dies.
"""

NAME = "dnaml"


def register(*, make_default: bool = False) -> None:
    """Make the back end "dnaml" known to joblib; with `make_default`, also the one used where none is named.

    Within `parallel_backend("dnaml")` work goes to the innermost open `dnaml.Executor`, to the one given as
    `executor=`, or to a default one. Raises MissingExtra where joblib is not installed.

    >>> import joblib, dnaml.joblib_backend
    >>> dnaml.joblib_backend.register()
    >>> with dnaml.Executor(state="temporary"), joblib.parallel_backend("dnaml"):
    ...     joblib.Parallel()(joblib.delayed(pow)(2, n) for n in range(4))
    [1, 2, 4, 8]
    """
    from importlib.util import find_spec

    from dnaml.core.errors import MissingExtra

    if find_spec("joblib") is None:
        raise MissingExtra("joblib is not installed: pip install joblib")
    from joblib import register_parallel_backend

    from dnaml.joblib_backend.backend import DnamlBackend

    register_parallel_backend(NAME, DnamlBackend, make_default=make_default)
