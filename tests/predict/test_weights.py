"""Model folders: what is stored, and what is refused before it is parsed."""

import json
import pickle
from dataclasses import dataclass

import numpy as np
import pytest

from dnaml.core.errors import CorruptError, InputError
from dnaml.predict.weights import CONFIG, MANIFEST, WEIGHTS, digest_of, load_model, save_model


@dataclass(frozen=True, kw_only=True, eq=False)
class Leaf:
    """A value with an array."""

    numbers: np.ndarray
    words: np.ndarray
    _kept: int = 0


@dataclass(frozen=True, kw_only=True, eq=False)
class Tree:
    """A value that holds others."""

    leaves: dict[tuple[str, int], Leaf]
    level: float | None = None
    on: bool = True
    parts: tuple[int, ...] = ()


CLASSES = {"Leaf": Leaf, "Tree": Tree}
VALUE = Tree(
    leaves={("a", 1): Leaf(numbers=np.arange(6.0).reshape(2, 3), words=np.array(["x", "yy"]), _kept=5)},
    level=0.5,
    parts=(1, 2),
)


@pytest.fixture
def folder(tmp_path):
    return save_model(tmp_path / "model", VALUE)


def test_what_was_saved_is_loaded(folder):
    found = load_model(folder, CLASSES)
    assert (found.level, found.on, found.parts) == (0.5, True, (1, 2))
    leaf = found.leaves["a", 1]
    np.testing.assert_array_equal(leaf.numbers, VALUE.leaves["a", 1].numbers)
    assert leaf.words.tolist() == ["x", "yy"]
    assert leaf._kept == 0  # private fields only save time and are not stored


def test_a_model_is_saved_over_another_and_its_digest_is_its_version(folder):
    first = digest_of(folder)
    save_model(folder, VALUE)
    assert digest_of(folder) == first
    save_model(folder, Tree(leaves={}))
    assert digest_of(folder) != first
    assert load_model(folder, CLASSES).leaves == {}
    assert sorted(path.name for path in folder.iterdir()) == sorted([CONFIG, MANIFEST, WEIGHTS])


@pytest.mark.parametrize("name", [CONFIG, WEIGHTS])
@pytest.mark.parametrize("harm", ["flip", "cut", "remove", "grow"])
def test_a_file_that_was_changed_is_refused_before_it_is_parsed(folder, name, harm, monkeypatch):
    file = folder / name
    blob = bytearray(file.read_bytes())
    if harm == "remove":
        file.unlink()
    else:
        blob[len(blob) // 2] ^= 1 if harm == "flip" else 0
        file.write_bytes(bytes(blob[:-3]) if harm == "cut" else bytes(blob) + (b"x" if harm == "grow" else b""))
    parsed = []
    monkeypatch.setattr("safetensors.numpy.load", parsed.append)
    with pytest.raises(CorruptError, match=name):
        load_model(folder, CLASSES)
    assert not parsed


@pytest.mark.parametrize(
    "manifest",
    [
        b"",
        b"\x80\x04.",
        b"[]",
        b'{"schema": "dnaml-model-1"}',
        b'{"schema": "dnaml-model-1", "files": 3}',
        b"[" * 100_000,
    ],
)
def test_a_manifest_that_is_none_is_refused(folder, manifest):
    (folder / MANIFEST).write_bytes(manifest)
    with pytest.raises(CorruptError, match="must be the manifest of a model"):
        load_model(folder, CLASSES)


def test_another_schema_and_a_huge_manifest_are_refused(folder):
    said = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps(said | {"schema": "dnaml-model-9"}))
    with pytest.raises(CorruptError, match="schema must be 'dnaml-model-1', got 'dnaml-model-9'"):
        load_model(folder, CLASSES)
    (folder / MANIFEST).write_bytes(b" " * (2 << 20))
    with pytest.raises(CorruptError, match="at most"):
        load_model(folder, CLASSES)


def _resealed(folder, config):
    """Write a config with a manifest that fits it, as an attacker would."""
    import hashlib

    blob = json.dumps(config).encode()
    (folder / CONFIG).write_bytes(blob)
    said = json.loads((folder / MANIFEST).read_text())
    said["files"][CONFIG] = {"size": len(blob), "sha256": hashlib.sha256(blob).hexdigest()}
    (folder / MANIFEST).write_text(json.dumps(said))


@pytest.mark.parametrize(
    "model",
    [
        {"@": "Popen", "of": {"args": ["true"]}},
        {"@": "Leaf", "of": {"nothing": 1}},
        {"@": "array", "of": "absent"},
        {"no": "kind"},
        3,
    ],
)
def test_a_well_sealed_config_can_build_known_values_only(folder, model):
    _resealed(folder, {"schema": "dnaml-model-1", "model": model} if model != 3 else {"schema": "dnaml-model-1"})
    with pytest.raises(CorruptError, match="known values"):
        load_model(folder, CLASSES)


def test_a_config_nested_too_deep_is_refused(folder):
    model = None
    for _ in range(100):
        model = {"@": "tuple", "of": [model]}
    _resealed(folder, {"schema": "dnaml-model-1", "model": model})
    with pytest.raises(CorruptError, match="nested deeper"):
        load_model(folder, CLASSES)


def test_a_folder_without_a_model_and_a_pickle_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"must hold manifest\.json"):
        load_model(tmp_path, CLASSES)
    (tmp_path / MANIFEST).write_bytes(pickle.dumps({"schema": "dnaml-model-1"}))
    with pytest.raises(CorruptError):
        load_model(tmp_path, CLASSES)


def test_what_is_not_a_plain_value_cannot_be_saved(tmp_path):
    with pytest.raises(InputError, match="plain values"):
        save_model(tmp_path, Tree(leaves={("a", 1): {1, 2}}))
