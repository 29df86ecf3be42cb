"""Files are digested by content, and again only when they changed."""

import hashlib
import os
from pathlib import Path

import pytest

from dnaml.core.errors import InputError
from dnaml.execution import file_digests
from dnaml.execution.file_digests import file_digest, named_file


def test_a_file_is_digested_by_its_content(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_bytes(b"hello")
    assert file_digest(file) == "sha256:" + hashlib.sha256(b"hello").hexdigest()


def test_a_change_is_seen_even_within_one_tick_of_the_clock(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_bytes(b"one")
    first = file_digest(file)
    file.write_bytes(b"two")
    assert file_digest(file) != first


def test_an_old_file_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a"
    file.write_bytes(b"one")
    os.utime(file, (1, 1))
    first = file_digest(file)
    monkeypatch.setattr(file_digests, "_whole", lambda name: pytest.fail("it was read again"))
    assert file_digest(file) == first


def test_a_large_file_is_sampled_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_digests, "_WHOLE_BYTES", 1 << 20)
    file = tmp_path / "a"
    file.write_bytes(bytes(5 << 20))
    first = file_digest(file)
    assert first.startswith("sampled-sha256:")
    with open(file, "r+b") as opened:
        opened.seek(-1, os.SEEK_END)
        opened.write(b"x")
    assert file_digest(file) != first


def test_a_folder_is_digested_by_names_and_contents(tmp_path: Path) -> None:
    (tmp_path / "in" / "deep").mkdir(parents=True)
    (tmp_path / "in" / "deep" / "a").write_bytes(b"1")
    first = file_digest(tmp_path / "in")
    (tmp_path / "in" / "deep" / "a").rename(tmp_path / "in" / "b")
    assert file_digest(tmp_path / "in") != first


def test_a_folder_with_too_many_files_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_digests, "_MOST_IN_FOLDER", 1)
    for name in "ab":
        (tmp_path / name).touch()
    with pytest.raises(InputError, match="may hold 1 files"):
        file_digest(tmp_path)


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="absent: cannot be read: No such file"):
        file_digest(tmp_path / "absent")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="only files and folders"):
        file_digest(tmp_path / "pipe")


def test_only_texts_and_paths_of_existing_files_name_files(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.touch()
    assert named_file(str(file)) == str(file)
    assert named_file(file) == str(file)
    not_files = ["", "x" * 2000, "a\nb", "a\0b", 5, None, tmp_path, str(tmp_path), b"bytes", tmp_path / "absent"]
    assert [named_file(value) for value in not_files] == [None] * len(not_files)


def test_the_memory_of_digests_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_digests, "_MOST_KEPT", 2)
    for name in "abcd":
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (1, 1))
        file_digest(tmp_path / name)
    assert len(file_digests._kept) <= 2
