"""Malicious files, words, paths and addresses at every door: nothing of them runs, is opened or is asked."""

import hashlib
import json
import logging
import os
import resource
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from dnaml.core.errors import DnamlError
from dnaml.datasets.price_rows import parse_file
from dnaml.datasets.table import load_runs
from dnaml.jobfile import JobFile
from dnaml.predict.runtime import RuntimePredictor
from dnaml.predict.weights import CONFIG, MANIFEST, SCHEMA, WEIGHTS
from dnaml.rest.auth import Tokens
from dnaml.rest.logs import JsonLines
from dnaml.telemetry.declared import read_resources
from tests.rest.conftest import WORK, Client
from tests.rest.malice import artifacts


def _as_model(path: Path) -> object:
    """Offer a file as each part of a model folder, its manifest in order."""
    for part in (CONFIG, WEIGHTS):
        folder = path.with_name(f"{path.name}-{part}")
        folder.mkdir()
        blobs = {CONFIG: b'{"schema": "dnaml-model-1", "model": {}}', WEIGHTS: b"\x02\0\0\0\0\0\0\0{}"}
        blobs[part] = path.read_bytes()
        files = {name: {"size": len(blob), "sha256": hashlib.sha256(blob).hexdigest()} for name, blob in blobs.items()}
        for name, blob in {**blobs, MANIFEST: json.dumps({"schema": SCHEMA, "files": files}).encode()}.items():
            (folder / name).write_bytes(blob)
        with pytest.raises(DnamlError):
            RuntimePredictor.load(folder)
    return RuntimePredictor.load(path)


DOORS: dict[str, Callable[[Path], object]] = {
    "model": _as_model,
    "job": JobFile.read,
    "runs": load_runs,
    "resources": read_resources,
    "prices": parse_file,
    "tokens": lambda path: Tokens(path).all(),
}


@pytest.mark.parametrize("door", DOORS)
def test_no_malicious_file_runs_at_a_door(door: str, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    offered = artifacts(canary)
    assert len(offered) >= 60
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    taken = []
    for name, body in offered.items():
        path = tmp_path / name
        path.write_bytes(body)
        try:
            DOORS[door](path)
            taken.append(name)
        except DnamlError:
            pass
        assert not canary.exists(), name
    assert set(taken) <= _HARMLESS.get(door, set())
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib < 1 << 20  # KiB: no bomb went off


_HARMLESS = {"runs": {"formula.csv"}}  # text that only a spreadsheet would run


@pytest.mark.timeout(120)
def test_no_malicious_body_runs_at_the_service(api: Client, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    paths = ("/jobs", "/plans", "/resources", "/models/train", "/jobs/batch")
    for name, body in artifacts(canary).items():
        for path in paths if len(body) < 1 << 16 else paths[:1]:
            answer = api.request("POST", path, content=body)
            assert 400 <= answer.status_code < 500, (name, path, answer.text)
        assert not canary.exists(), name
    root = api.service.rules.root
    for name, body in artifacts(canary).items():
        (root / name).write_bytes(body)
        if not name.endswith((".csv", ".parquet")):
            assert api.post("/models/train", {"table": name}).status_code == 422, name
    job_id = api.submit("double", "table.parquet")  # its digest is taken, it is not read as anything
    assert api.ended(job_id)["result"] == "table.parquettable.parquet"
    assert not canary.exists()


@pytest.mark.timeout(120)
def test_words_of_a_shell_are_words(api: Client, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    shapes = ("$({})", "`{}`", "; {} #", "| {}", "&& {}", "\n{}\n", "'; {} #", "x$({})x")
    for word in (shape.format(f"touch {canary}") for shape in shapes):
        job = {"run": ["printf", "%s", word], "envs": {"WORD": word}, "name": word[:200]}
        answer = api.post("/jobs", job)
        if answer.status_code == 202:
            assert api.ended(answer.json()["id"])["state"] == "SUCCEEDED"
        else:
            assert answer.status_code == 422, answer.text
        assert api.ended(api.submit("double", word))["result"] == word * 2
        assert api.get("/resources", params={"cursor": word}).status_code in (400, 422)
    assert not canary.exists()


class _Canary:
    """Listens on this machine and counts who comes."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._listening.settimeout(0.3)
        self.port = self._listening.getsockname()[1]

    def hits(self) -> int:
        """Return how many have connected."""
        found = 0
        try:
            while True:
                self._listening.accept()[0].close()
                found += 1
        except TimeoutError:
            return found


@pytest.mark.timeout(120)
def test_no_address_in_a_request_is_ever_asked(api: Client) -> None:
    canary = _Canary()
    for host in ("127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "2130706433", "0x7f.1", "127.1", "user@127.0.0.1"):
        for scheme in ("http", "https", "ftp", "file", "s3", "postgresql"):
            address = f"{scheme}://{host}:{canary.port}/model.parquet"
            for path, body in (
                ("/models/train", {"table": address}),
                ("/models/train", {"name": address}),
                ("/jobs", {"run": ["true"], "inputs": [address]}),
                ("/jobs", {"run": ["true"], "workdir": address}),
                ("/resources", {"id": address, "site": "cloud", "address": address}),
                ("/plans", {"computations": [{"id": address, "kernel": address}], "resources": [address]}),
            ):
                assert api.post(path, body).status_code < 500, (path, body)
            assert api.post(f"/resources/{quote(address, safe='')}/probe").status_code < 500
    assert api.submit("double", f"http://127.0.0.1:{canary.port}/x")
    assert canary.hits() == 0


def test_every_path_that_leaves_the_root_is_refused_however_it_is_written(api: Client, tmp_path: Path) -> None:
    outside = tmp_path / "outside.csv"
    outside.write_text("resource_id,computation_id,runtime_s\na,b,1\n")
    root = api.service.rules.root
    (root / "linked.csv").unlink(missing_ok=True)
    (root / "linked.csv").symlink_to(outside)
    dots = os.path.relpath(outside, root)
    for path in (
        str(outside),
        dots,
        f"./{dots}",
        f"a/../{dots}",
        "linked.csv",
        "~/x.csv",
        f"file://{outside}",
        "x\0.csv",
        dots.replace("/", "%2f"),
        dots.replace("..", "%2e%2e"),
        dots.replace("/", "\\"),
        "/proc/self/environ",
    ):
        for body in ({"run": ["cat", "x"], "inputs": [path]}, {"run": ["true"], "workdir": path}):
            answer = api.post("/jobs", body)
            if answer.status_code == 202:  # a name below the root in which the signs mean nothing
                assert "outside" not in str(api.ended(answer.json()["id"]).get("result"))
                assert "%" in path or "\\" in path or "file:" in path, path
            else:
                assert answer.status_code == 422, (path, answer.text)
        assert api.post("/models/train", {"table": path}).status_code == 422, path
        for url in (f"/jobs/{quote(path, safe='')}", f"/resources/{quote(path, safe='')}"):
            assert api.get(url).status_code in (404, 422), url


def test_lines_and_codes_of_a_terminal_and_tokens_stay_out_of_logs_and_answers(guarded: Any, caplog: Any) -> None:
    client, tokens = guarded
    secret = tokens["submit"]
    with caplog.at_level(logging.DEBUG):
        for text in ("a\nERROR forged", "\x1b[2Jcleared", "\r\n\r\nHTTP/1.1 200 OK", secret):
            for where in ({"name": text}, {"computation": text}, {"run": [text], "envs": {"TOKEN": text}}):
                body = {"computation": f"{WORK}:fail", "args": [text], **where}
                answer = client.post("/jobs", body, headers={"Authorization": f"Bearer {secret}"})
                assert answer.status_code in (202, 403, 422)
                if answer.status_code != 202:
                    assert "\x1b" not in answer.json()["detail"]
                    assert "\n" not in answer.json()["detail"]
            client.get(f"/jobs/{quote(text, safe='')}", headers={"Authorization": f"Bearer {secret}"})
        client.get("/jobs", headers={"Authorization": f"Bearer {secret}x"})
    shown = [JsonLines().format(record) for record in caplog.records]
    assert all("\n" not in line and "\x1b" not in line for line in shown)
    assert not any(secret.rpartition("_")[2] in line for line in shown)
