"""An environment is described, stored, compared by name and version, and rebuilt."""

import dataclasses
import os
import platform
from importlib import metadata
from pathlib import Path

import pytest

from dnaml.core.errors import CorruptError
from dnaml.execution.environment import (
    LOCAL,
    Environment,
    current_environment,
    environment_differences,
    environment_digest,
    environment_from_json,
    installed_packages,
    named_differences,
    relevant_variables,
    verify,
)


def test_the_current_environment_tells_python_packages_and_hardware() -> None:
    now = current_environment()
    assert now.python == platform.python_version()
    assert now.packages["numpy"] == metadata.version("numpy")
    assert f"{os.cpu_count()} cores" in now.hardware
    assert environment_digest() == now.digest


def test_every_installed_package_is_found_with_its_version() -> None:
    told = {(d.name or "").lower().replace("_", "-").replace(".", "-"): d.version for d in metadata.distributions()}
    found = installed_packages()
    assert set(found) == set(told)
    assert {name for name, version in found.items() if version.removeprefix(LOCAL) != told[name]} == set()


def test_a_package_installed_from_a_folder_is_marked(tmp_path: Path) -> None:
    for name, record in (
        ("mine-1.0", '{"url": "file:/src/mine", "dir_info": {"editable": true}}'),
        ("other-2.0", None),
    ):
        folder = tmp_path / f"{name}.dist-info"
        folder.mkdir()
        if record:
            (folder / "direct_url.json").write_text(record)
    (tmp_path / "left_here.egg-info").mkdir()
    (tmp_path / "left_here.egg-info" / "PKG-INFO").write_text("Name: left_here\nVersion: 3.0\n")
    (tmp_path / "bare.egg-info").mkdir()
    found = installed_packages([str(tmp_path), str(tmp_path / "absent")])
    assert found == {"bare": "local:unknown", "left-here": "local:3.0", "mine": "local:1.0", "other": "2.0"}


def test_an_environment_survives_storage() -> None:
    now = current_environment()
    assert environment_from_json(now.to_json()) == now
    with pytest.raises(CorruptError, match="environment record"):
        environment_from_json(b"{}")


def test_no_secret_is_read() -> None:
    variables = {"OMP_NUM_THREADS": "1", "TORCH_API_KEY": "s", "CUDA_TOKEN": "s", "AWS_SECRET": "s", "HOME": "/root"}
    assert relevant_variables(variables) == {"OMP_NUM_THREADS": "1"}


def test_the_digest_follows_packages_variables_and_seeds_but_not_hardware() -> None:
    now = current_environment()
    assert dataclasses.replace(now, hardware="other").digest == now.digest
    for change in (
        {"packages": {}},
        {"variables": {"OMP_X": "1"}},
        {"seeds": {"PYTHONHASHSEED": "7"}},
        {"python": "3"},
    ):
        assert dataclasses.replace(now, **change).digest != now.digest  # type: ignore[arg-type]


def test_what_differs_is_named_with_both_versions() -> None:
    was = Environment(
        python="3.11.1", implementation="CPython", platform="Linux", machine="x86_64",
        packages={"numpy": "2.0.0", "gone": "1"}, variables={"OMP_NUM_THREADS": "1"}, seeds={"PYTHONHASHSEED": "0"},
    )  # fmt: skip
    now = dataclasses.replace(was, python="3.12.0", packages={"numpy": "2.1.0"}, variables={}, seeds={})
    assert environment_differences(was, now) == [
        "environment python: 3.11.1 became 3.12.0",
        "package gone: 1 became absent",
        "package numpy: 2.0.0 became 2.1.0",
        "variable OMP_NUM_THREADS: 1 became absent",
        "seed PYTHONHASHSEED: 0 became absent",
    ]
    assert environment_differences(was, was) == []
    assert named_differences("input", {"a": "sha256:" + "0" * 64}, {}) == ["input a: sha256:000000000000 became absent"]


def test_verification_finds_a_package_of_another_version() -> None:
    now = current_environment()
    assert verify(now) == ()
    older = dataclasses.replace(now, packages={**now.packages, "numpy": "1.0"})
    assert verify(older) == (f"package numpy: 1.0 became {now.packages['numpy']}",)
