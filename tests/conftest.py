"""What holds for every test: one thread in each numerical library, set before any of them is imported."""

import os

# Two BLAS threads on a busy machine spin against each other: what takes a millisecond of processor time takes five.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
