"""Model folders that were cut, flipped, swapped or made to do harm: each is refused by name, none is used."""

import hashlib
import io
import json
import os
import pickle
import struct
import subprocess
import sys
import tracemalloc
import zipfile
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save

from dnaml.core.errors import CorruptError, InputError
from dnaml.predict import weights
from dnaml.predict.weights import CONFIG, MANIFEST, SCHEMA, WEIGHTS, by_name, digest_of, load_model, save_model
from tests.speed import cpu_s, least, slowness

FILES = (CONFIG, WEIGHTS, MANIFEST)


@dataclass(frozen=True, kw_only=True, eq=False)
class Small:
    """A model of one array, one text and one number."""

    numbers: np.ndarray
    words: np.ndarray
    level: float = 0.5


CLASSES = by_name(Small)
VALUE = Small(numbers=np.arange(4, dtype=np.float32), words=np.array(["x", "yy"]))


class Canary:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, file):
        self.file = file

    def __reduce__(self):
        return (open, (str(self.file), "w"))


@pytest.fixture
def folder(tmp_path):
    return save_model(tmp_path / "model", VALUE)


def seal(folder, **blobs):
    """Write files with a manifest that fits them, as somebody who means harm would."""
    kept = {CONFIG: (folder / CONFIG).read_bytes(), WEIGHTS: (folder / WEIGHTS).read_bytes()}
    kept |= {{"config": CONFIG, "weights": WEIGHTS}[name]: blob for name, blob in blobs.items()}
    for name, blob in kept.items():
        (folder / name).write_bytes(blob)
    files = {name: {"size": len(blob), "sha256": hashlib.sha256(blob).hexdigest()} for name, blob in kept.items()}
    (folder / MANIFEST).write_text(json.dumps({"schema": SCHEMA, "files": files}))


def config(model):
    return json.dumps({"schema": SCHEMA, "model": model}).encode()


def refused(folder, match=None):
    with pytest.raises(CorruptError, match=match):
        load_model(folder, CLASSES)


@pytest.mark.parametrize("name", FILES)
def test_a_file_cut_at_any_byte_is_refused(folder, name):
    whole = (folder / name).read_bytes()
    for length in range(len(whole)):
        (folder / name).write_bytes(whole[:length])
        refused(folder)
    (folder / name).write_bytes(whole)
    assert load_model(folder, CLASSES).level == 0.5


@pytest.mark.parametrize("name", FILES)
def test_a_file_with_any_bit_flipped_is_refused(folder, name):
    whole = (folder / name).read_bytes()
    for bit in range(8 * len(whole)):
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << (bit % 8)
        (folder / name).write_bytes(flipped)
        refused(folder)


def test_a_model_of_another_schema_is_refused_with_both_versions_named(folder):
    said = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps({**said, "schema": "dnaml-model-9"}))
    refused(folder, "schema must be 'dnaml-model-1', got 'dnaml-model-9'")
    seal(folder, config=json.dumps({"schema": "dnaml-model-0", "model": None}).encode())
    refused(folder, "schema must be 'dnaml-model-1', got 'dnaml-model-0'")


@pytest.mark.parametrize("name", ["config", "weights", MANIFEST])
def test_a_pickle_in_place_of_any_file_is_refused_and_never_run(folder, tmp_path, name):
    canary = tmp_path / "canary"
    blob = pickle.dumps(Canary(canary))
    if name == MANIFEST:
        (folder / MANIFEST).write_bytes(blob)
    else:
        seal(folder, **{name: blob})
    refused(folder)
    assert not canary.exists()


def zip_bomb():
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("data.pkl", b"\0" * (64 << 20))
    return packed.getvalue()


@pytest.mark.parametrize("name", ["config", "weights"])
def test_a_zip_bomb_is_not_unpacked(folder, name):
    seal(folder, **{name: zip_bomb()})
    tracemalloc.start()
    refused(folder)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 << 20


@pytest.mark.parametrize(
    "blob",
    [
        b"[" * 2_000_000,
        b'{"a":' * 1_000_000,
        b'{"schema": "dnaml-model-1", "model": ' + b"[" * 500_000 + b"]" * 500_000 + b"}",
        b'{"schema": "dnaml-model-1", "model": NaN}',
        b'{"schema": "dnaml-model-1", "model": -Infinity}',
        b'{"schema": "dnaml-model-1", "model": 1e999}',
        b'{"schema": "dnaml-model-1", "model": ' + b"9" * 100_000 + b"}",
        b'{"schema": "dnaml-model-1", "schema": "dnaml-model-1", "model": 1}',
        b'{"schema": "dnaml-model-1", "model": {"@": "float", "@": "Small", "of": {}}}',
        b'{"schema": "dnaml-model-1", "model": "\xff\xfe"}',
        b'{"schema": "dnaml-model-1"}',
        b"[]",
        b"null",
        b"",
    ],
)
def test_a_well_sealed_config_that_is_no_strict_json_is_refused(folder, blob):
    seal(folder, config=blob)
    refused(folder, "must be strict JSON")


def test_more_values_than_memory_should_hold_are_counted_before_they_are_parsed(folder, monkeypatch):
    seal(folder, config=config([0] * 1000))
    monkeypatch.setattr(weights, "MOST_VALUES", 500)
    refused(folder, "must have at most 500 values")


@pytest.mark.parametrize(
    "model",
    [
        {"@": "Small"},
        {"@": "Small", "of": {"numbers": 1}},
        {"@": "Small", "of": {}, "and": 1},
        {"@": "Small", "of": [1, 2]},
        {"@": "subprocess.Popen", "of": {"args": ["true"]}},
        {"@": ["Small"], "of": {}},
        {"@": "__class__", "of": {}},
        {"@": "array", "of": "../../etc/passwd"},
        {"@": "array", "of": ["m.numbers"]},
        {"@": "text", "of": [1, 2]},
        {"@": "text", "of": {"length": 1}},
        {"@": "float", "of": "1e5"},
        {"@": "map", "of": [[{"@": "map", "of": []}, 1]]},
        {"@": "map", "of": [[1, 2, 3]]},
        {"@": "tuple", "of": 7},
        {},
    ],
)
def test_a_well_sealed_config_of_other_than_known_values_is_refused(folder, model):
    seal(folder, config=config(model))
    refused(folder, "must be made of known values")


def test_one_long_word_among_many_is_refused_before_room_is_made_for_it(folder):
    words = ["x" * 100_000, *[""] * 100_000]  # 40 GB as an array, since every entry is as wide as the longest
    seal(folder, config=config({"@": "text", "of": words}))
    refused(folder, "text must take at most")


def tensors(header, data=b""):
    text = json.dumps(header).encode() if not isinstance(header, bytes) else header
    return struct.pack("<Q", len(text)) + text + data


@pytest.mark.parametrize(
    "blob",
    [
        tensors({"a": {"dtype": "F64", "shape": [2**40], "data_offsets": [0, 8]}}, b"\0" * 8),
        tensors({"a": {"dtype": "F64", "shape": [2**62, 2**62], "data_offsets": [0, 0]}}),
        tensors({"a": {"dtype": "F64", "shape": [0, 2**60], "data_offsets": [0, 0]}}),
        tensors({"a": {"dtype": "F64", "shape": [-1], "data_offsets": [0, 8]}}, b"\0" * 8),
        tensors({"a": {"dtype": "F64", "shape": [1], "data_offsets": [0, 2**63]}}, b"\0" * 8),
        tensors({"a": {"dtype": "F64", "shape": [1], "data_offsets": [8, 0]}}, b"\0" * 8),
        tensors({"a": {"dtype": "O", "shape": [1], "data_offsets": [0, 8]}}, b"\0" * 8),
        tensors({"a": {"dtype": "F64", "shape": [1], "data_offsets": [0, 8]}}, b"\0" * 80),
        tensors(b"[" * 100_000),
        tensors(b"{}")[:-1],
        struct.pack("<Q", 2**63) + b"{}",
        struct.pack("<Q", 2**40) + b"{}",
        b"",
        b"\x93NUMPY\x01\x00",
    ],
    ids=lambda blob: f"{len(blob)} bytes",
)
def test_well_sealed_arrays_whose_shapes_do_not_fit_their_bytes_are_refused_without_taking_memory(folder, blob):
    seal(folder, weights=blob)
    tracemalloc.start()
    refused(folder, WEIGHTS)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 << 20


def test_arrays_that_the_config_does_not_name_are_no_part_of_the_model(folder):
    seal(folder, weights=save({"m.numbers": np.zeros(4, dtype=np.float32), "../evil": np.ones(3)}))
    assert load_model(folder, CLASSES).numbers.tolist() == [0.0] * 4


@pytest.mark.parametrize("name", FILES)
def test_a_link_a_pipe_a_folder_and_a_device_in_place_of_a_file_are_refused(folder, name, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    file = folder / name
    elsewhere.write_bytes(file.read_bytes())
    file.unlink()
    file.symlink_to(elsewhere)
    refused(folder, "must be a readable plain file")
    for target in ("/dev/zero", tmp_path / "nowhere"):
        file.unlink()
        file.symlink_to(target)
        refused(folder, "must be a readable plain file")
    file.unlink()
    os.mkfifo(file)
    refused(folder, "must be a plain file, got p")
    file.unlink()
    file.mkdir()
    refused(folder, "must be a plain file, got d")


def test_names_in_a_manifest_lead_nowhere_but_to_the_two_files(folder, tmp_path):
    (tmp_path / "secret").write_bytes(b"secret")
    said = json.loads((folder / MANIFEST).read_text())
    for name in ("../secret", "/etc/passwd", "config.json/../../secret", "config.json\0"):
        more = {**said["files"], name: {"size": 6, "sha256": hashlib.sha256(b"secret").hexdigest()}}
        (folder / MANIFEST).write_text(json.dumps({**said, "files": more}))
        refused(folder, "must list")
    (folder / MANIFEST).write_text(json.dumps({**said, "files": {CONFIG: said["files"][CONFIG]}}))
    refused(folder, "must list")


@pytest.mark.parametrize("size", [True, "12", 1.5, -1, None, 10**30])
def test_a_size_that_is_no_count_of_bytes_is_refused(folder, size):
    said = json.loads((folder / MANIFEST).read_text())
    said["files"][CONFIG]["size"] = size
    (folder / MANIFEST).write_text(json.dumps(said))
    refused(folder, "must be")


def test_a_huge_file_is_refused_unread(folder):
    with open(folder / WEIGHTS, "r+b") as file:
        file.truncate(1 << 40)  # takes no room on the disk
    tracemalloc.start()
    refused(folder, "must be at most")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 << 20


@given(noise=st.binary(max_size=300), name=st.sampled_from(["config", "weights"]))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_sealed_noise_is_refused(folder, noise, name):
    save_model(folder, VALUE)
    seal(folder, **{name: noise})
    with pytest.raises(CorruptError):
        load_model(folder, CLASSES)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["@", "of", "numbers", "words", "level"]), inner, max_size=3)
        | st.builds(
            lambda kind, of: {"@": kind, "of": of},
            st.sampled_from(["Small", "array", "tuple", "map", "text", "float", "other"]),
            inner,
        )
    ),
    max_leaves=12,
)


@given(model=JSON)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_sealed_json_gives_a_value_or_is_refused(folder, model):
    seal(folder, config=config(model))
    try:
        load_model(folder, CLASSES)
    except CorruptError:
        pass


def test_numbers_that_are_not_finite_are_stored_as_words_and_come_back(tmp_path):
    @dataclass(frozen=True, kw_only=True)
    class Odd:
        values: tuple[float, ...]

    save_model(tmp_path, Odd(values=(float("nan"), float("inf"), -float("inf"), np.float64(1.5))))
    assert b"NaN" not in (tmp_path / CONFIG).read_bytes()
    found = load_model(tmp_path, {"Odd": Odd}).values
    assert np.isnan(found[0])
    assert found[1:] == (float("inf"), -float("inf"), 1.5)


@pytest.mark.parametrize("array", [np.array([{"a": 1}]), np.array([["x"]]), np.array([1j]), np.array(["2026"], "M8")])
def test_an_array_that_cannot_be_stored_is_refused_when_it_is_saved(tmp_path, array):
    with pytest.raises(InputError, match="an array must hold numbers, or text in one axis"):
        save_model(tmp_path, Small(numbers=array, words=VALUE.words))


def test_two_classes_of_one_name_are_refused():
    other = type("Small", (), {})
    with pytest.raises(InputError, match="each must have a name of its own, got two named Small"):
        by_name(Small, other)
    assert by_name(Small, Small) == {"Small": Small}


def test_the_digest_of_a_folder_follows_no_link(folder, tmp_path):
    assert digest_of(folder) == hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest()
    (folder / MANIFEST).rename(tmp_path / "moved")
    (folder / MANIFEST).symlink_to(tmp_path / "moved")
    with pytest.raises(CorruptError):
        digest_of(folder)


def test_loading_a_model_imports_no_framework(folder):
    code = (
        "import sys; from dnaml.predict.weights import load_model; "
        f"load_model({str(folder)!r}, {{'Small': dict}}); "
        "print(sorted({'torch', 'sklearn', 'pandas', 'scipy', 'pickle5'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert found.stdout.strip() == "[]"


@pytest.mark.serial
def test_a_model_of_a_few_megabytes_loads_within_fifty_milliseconds_of_processor_time(tmp_path):
    rng = np.random.default_rng(0)
    numbers = rng.normal(size=(500, 1000)).astype(np.float32)
    words = np.array([f"name{n}" for n in range(5000)])
    save_model(tmp_path, {n: Small(numbers=numbers[n : n + 1], words=words[:20], level=0.1 * n) for n in range(500)})
    limit_s = 0.05 * slowness()
    assert least(cpu_s(lambda: load_model(tmp_path, CLASSES)), limit_s) <= limit_s
