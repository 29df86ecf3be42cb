"""A sealed file is whole or refused: every bit, every prefix, every added byte."""

import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from dnaml.core.errors import CorruptError
from dnaml.execution import sealed_file
from dnaml.execution.sealed_file import Manifest, Writer


def write(path: Path, *sections: bytes) -> Manifest:
    with path.open("wb") as file:
        writer = Writer(file)
        for number, section in enumerate(sections):
            writer.section(str(number), (section[:5], section[5:]))
        manifest = Manifest(
            job_id="job",
            computation_id="fit",
            attempt_id="a1",
            epoch=3,
            sequence=4,
            progress=0.1 + 0.2,
            taken_at_s=1.7e9 + 1 / 3,
            pickled=False,
            sections=writer.sections,
        )
        assert writer.seal(manifest) == file.tell()
    return manifest


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "file"


def refuses(reader: Callable[[Path], object], path: Path) -> bool:
    try:
        reader(path)
    except CorruptError as error:
        return str(path) in str(error)
    return False


def is_refused(path: Path) -> bool:
    refusals = sum(refuses(reader, path) for reader in (sealed_file.verify, sealed_file.read))
    assert refusals in (0, 2)
    return refusals == 2


@pytest.mark.parametrize("sections", [(), (b"",), (b"some bytes", b"", b"x" * 1000), (os.urandom(9 << 20),)])
def test_what_was_written_is_read_back(path: Path, sections: tuple[bytes, ...]) -> None:
    manifest = write(path, *sections)
    assert sealed_file.verify(path) == manifest
    read, data = sealed_file.read(path)
    assert read == manifest
    for number, section in enumerate(sections):
        start, length = read.sections[str(number)]
        assert bytes(data[start : start + length]) == section
        assert start % 16 == 0


def test_every_flipped_bit_is_refused(path: Path) -> None:
    write(path, b"some state", b"and more")
    whole = path.read_bytes()
    for at in range(len(whole)):
        for bit in range(8):
            flipped = bytearray(whole)
            flipped[at] ^= 1 << bit
            path.write_bytes(flipped)
            assert is_refused(path), f"bit {bit} of byte {at}"
    path.write_bytes(whole)
    assert not is_refused(path)


def test_every_prefix_and_every_suffix_is_refused(path: Path) -> None:
    write(path, b"some state")
    whole = path.read_bytes()
    for cut in range(len(whole)):
        path.write_bytes(whole[:cut])
        assert is_refused(path), f"cut at {cut}"
        if cut:
            path.write_bytes(whole[cut:])
            assert is_refused(path), f"without the first {cut}"


def test_added_swapped_and_zeroed_bytes_are_refused(path: Path) -> None:
    write(path, b"some state", b"some more state")
    whole = path.read_bytes()
    rng = random.Random(0)
    for _ in range(300):
        at, other = sorted(rng.sample(range(len(whole)), 2))
        variants = (
            whole[:at] + b"\0" + whole[at:],
            whole + whole[at:],
            whole[:at] + bytes(other - at) + whole[other:],
            whole[:at] + whole[other:],
        )
        for variant in variants:
            if variant != whole:
                path.write_bytes(variant)
                assert is_refused(path)


def test_a_newer_version_is_refused_with_both_versions(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealed_file, "SCHEMA_VERSION", 7)
    write(path, b"state")
    assert not is_refused(path)
    monkeypatch.setattr(sealed_file, "SCHEMA_VERSION", 1)
    with pytest.raises(CorruptError, match=r"schema version must be at most 1, .* got 7"):
        sealed_file.verify(path)


def test_a_file_that_ends_before_its_size_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(path, b"state")
    real = Path.stat
    size_bytes = real(path).st_size

    def larger(self: Path) -> os.stat_result:
        return os.stat_result((*real(self)[:6], size_bytes + 100, *real(self)[7:]))

    monkeypatch.setattr(Path, "stat", larger)
    with pytest.raises(CorruptError, match="got 0"):
        sealed_file.verify(path)
