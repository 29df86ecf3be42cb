"""Submits to a running service, prints the result, and why it ran where it ran: `python -m docs.examples.remote URL`."""
# ruff: noqa: T201

import sys

import dnaml
from docs.examples.primes import count

if __name__ == "__main__":
    with dnaml.connect(sys.argv[1]) as ex:
        future = ex.options(name="primes", objective="min_latency").submit(count, 50_000)
        print(f"{future.job_id}: {future.result()} primes")
        print(future.decision.explain().to_string())
