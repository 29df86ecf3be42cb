"""A computation that the examples run in a service: `dnaml serve --allow docs.examples.primes` lets clients name it."""


def count(limit: int) -> int:
    """Return how many primes lie below a limit, the slow way."""
    return sum(all(number % d for d in range(2, int(number**0.5) + 1)) for number in range(2, limit))
