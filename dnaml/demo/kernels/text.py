"""Kernels of the interpreter and of its C libraries: parsing, JSON, patterns, hashing and compression.

Text is written and read in batches, so that time is in proportion to size.
"""

import hashlib
import json
import re
import zlib

import numpy as np

from dnaml.demo.kernels.arrays import drawn

_BLOCK_BYTES = 1 << 22
_BATCH = 1_000
_USER = re.compile(r"user(\d+)@")


def hash_sha256(size: int, seed: int = 0) -> str:
    """Digest `size` MiB with SHA-256, as blocks of 4 MiB (OpenSSL)."""
    block = drawn(seed).bytes(_BLOCK_BYTES)
    digest = hashlib.sha256()
    for _ in range(size >> 2):
        digest.update(block)
    return digest.hexdigest()


def compress_text(size: int, seed: int = 0) -> int:
    """Compress `size` kB of random letters with zlib and return the number of bytes left."""
    letters = drawn(seed).integers(97, 105, size * 1000, dtype=np.uint8).tobytes()
    return len(zlib.compress(letters, 3))


def parse_table(size: int, seed: int = 0) -> int:
    """Write and parse `size` lines of six numbers in pure Python: format, split, convert, count, add."""
    counts: dict[int, int] = {}
    total = 0
    for i in range(seed, seed + size):
        line = f"{i * 7919},{i * 31 + 1000},{i * 17 + 5000},{i * 13 + 999},{i * 3 + 70000},{i + 90000}"
        numbers = [int(field) for field in line.split(",")]
        group = numbers[0] % 997
        counts[group] = counts.get(group, 0) + 1
        total += sum(numbers)
    return total + max(counts.values())


def json_round_trip(size: int, seed: int = 0) -> int:
    """Write and read back `size` thousand records of three numbers and a name as JSON, a thousand at a time."""
    total = 0
    for batch in range(size):
        start = seed + batch * _BATCH
        records = [[i, i * 31 + 5000, i * 0.5, str(i)] for i in range(start, start + _BATCH)]
        total += sum(record[1] for record in json.loads(json.dumps(records)))
    return total


def match_pattern(size: int, seed: int = 0) -> int:
    """Find the numbered users in `size` thousand mail addresses with a regular expression and add their numbers."""
    total = 0
    for batch in range(size):
        start = seed + batch * _BATCH
        text = " ".join(f"{i} user{i * 7 % 977}@host{i % 13}.org" for i in range(start, start + _BATCH))
        total += sum(int(number) for number in _USER.findall(text))
    return total
