"""What holds for every test: one thread in each numerical library, and the same drawn examples in every run.

`make soak` draws others each time (`--hypothesis-profile random`).
"""

import os

from hypothesis import HealthCheck, settings

# Two BLAS threads on a busy machine spin against each other: what takes a millisecond of processor time takes five.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

_PATIENT = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("steady", derandomize=True, database=None, **_PATIENT)
settings.register_profile("random", print_blob=True, **_PATIENT)
settings.load_profile("steady")
