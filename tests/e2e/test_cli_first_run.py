"""A first run on a machine that nothing is known of: it is profiled, kept, and used."""

import json
import os
import subprocess
import sys


def dnaml(folder, *arguments):
    environment = {**os.environ, "DNAML_STATE": str(folder / "state"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "dnaml", *arguments]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=100, check=False
    )


def test_an_unknown_machine_is_profiled_once_and_kept(tmp_path):
    (tmp_path / "dnaml.yaml").write_text("run: [echo, hello]\n")
    first = dnaml(tmp_path, "submit", "dnaml.yaml")
    assert first.returncode == 0, first.stderr
    assert "profiling local" in first.stderr
    known = json.loads(dnaml(tmp_path, "resources", "ls", "--json").stdout)
    assert [one["id"] for one in known] == ["local"]
    assert known[0]["spec"]["fp64_flop_per_s"] > 1e8
    second = dnaml(tmp_path, "submit", "dnaml.yaml", "--quiet")
    assert second.returncode == 0
    assert second.stderr == ""


def test_a_probe_keeps_the_price_it_was_given(tmp_path):
    done = dnaml(tmp_path, "probe", "--price", "0.25", "--json")
    assert done.returncode == 0, done.stderr
    probed = json.loads(done.stdout)
    assert probed["price_usd_per_h"] == 0.25
    assert probed["slots"] == len(os.sched_getaffinity(0))
    again = json.loads(dnaml(tmp_path, "resources", "ls", "--json").stdout)
    assert again == [probed]
