"""Profiles a resource: runs the micro-probes in a fresh process under the resource's own environment.

`profile_resource` is what users call; `python -m dnaml.telemetry.profile --json` is the probing process. The probes
run on one core, because a slot of a resource is one core.
"""

import argparse
import json
import math
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from dnaml.core.errors import DnamlError, InputError
from dnaml.core.reference import RATES
from dnaml.core.types import Kind, Resource, Site, UnitType
from dnaml.telemetry import power, processor

ONE_THREAD: Mapping[str, str] = dict.fromkeys(
    (
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "VECLIB_MAXIMUM_THREADS",
        "NUMEXPR_NUM_THREADS",
    ),
    "1",
)
"""Environment of every process that runs or measures work: one thread in each numerical library."""

_PROFILE_TIMEOUT_S = 300.0  # four seconds of work; a busy machine takes many times that


class ProbeTimeout(DnamlError, TimeoutError):
    """Says that the probes of a resource took far longer than they do: the machine is too busy to be measured."""


def profile_resource(
    target: str | Resource = "local",
    *,
    folder: Path | None = None,
    admit: Callable[[int], None] | None = None,
) -> Resource:
    """Return the resource with its spec measured by micro-probes: about 4 s on a quiet machine.

    `target` is "local" (one core of this machine) or a local Resource, a CPU's core or an NVIDIA GPU (see
    `telemetry.gpu`); its `environment` holds in the probing process, its declared fields win over measured ones.
    `folder` is where the disk is probed. `admit` gets the id of the probing process before it measures, for example
    to put it under the resource's CPU quota.

    >>> import dnaml
    >>> dnaml.profile_resource("local").spec["fp64_flop_per_s"] > 1e8
    True
    """
    if isinstance(target, str) and target != "local":
        raise InputError(f"profile_resource: target must be 'local' or a Resource, got {target!r}")
    declared = target if isinstance(target, Resource) else Resource(id="local", domain=platform.node() or "local")
    if declared.site is not Site.LOCAL or declared.kind not in (Kind.CPU, Kind.GPU):
        place = f"{declared.kind.value} at {declared.site.value}"
        raise InputError(
            f"{declared.id}: only local CPUs and GPUs can be probed, got {place}; it keeps what is declared"
        )
    measured = _probe_in_process(declared, folder, admit)
    return _described(declared, measured)


def probe_score(resource: Resource) -> float:
    """Return the geometric mean of the resource's probes, each over that of the reference core.

    Enter, where measured: BLAS products of numpy (fp64, fp32) and torch (fp64, fp32, bf16, int8), vector exponentials,
    sorting, sequential bandwidth, dependent random reads, hashing, the Python loop, and disk writes. Raises InputError
    for a resource with none of them.
    """
    ratios = [resource.spec[key] / reference for key, reference in RATES.items() if resource.spec.get(key, 0) > 0]
    if not ratios:
        raise InputError(f"{resource.id}: has no probe in its spec; run profile_resource first")
    return math.exp(sum(map(math.log, ratios)) / len(ratios))


def measure_device(device: str) -> dict[str, object]:
    """Return spec and refusals of one torch device of this process, `cuda:0` for the first GPU it sees."""
    from dnaml.telemetry import probe_gpu, probe_io, probes

    on_host = [probe for probe in probe_io.io_probes() if probe.key in ("latency_s", "startup_s")]
    readings, refused = probes.run([*probe_gpu.gpu_probes(device), *on_host])
    if "fp32_flop_per_s" in readings:
        readings["flops_are_from_sheet"] = 0.0
    return {"spec": readings, "refused": refused}


def measure_core(folder: Path | None = None) -> dict[str, object]:
    """Return spec, unit type, description and refusals of this process's core, under this process's environment."""
    from dnaml.telemetry import probe_compute, probe_io, probe_memory, probes

    all_probes = [*probe_compute.compute_probes(), *probe_memory.memory_probes(), *probe_io.io_probes(folder)]
    readings, refused = probes.run(all_probes)
    hardware = processor.hardware_unit(processor.cpu_flags(), platform.machine())
    capped = processor.usable_units(hardware, os.environ)
    unit = processor.widest_common(hardware, capped)
    spec = {**processor.clocks(), **processor.caches(), **processor.features(hardware, unit), **readings}
    return {
        "spec": {**spec, **power.core_power()},
        "unit_type": unit.value,
        "description": processor.model_name(),
        "capped": {name: held.value for name, held in capped.items()},
        "refused": refused,
    }


def _probe_in_process(
    resource: Resource, folder: Path | None, admit: Callable[[int], None] | None
) -> dict[str, object]:
    """Run the probing process and return what it printed; its standard input holds it back until it is admitted."""
    command = [sys.executable, "-m", "dnaml.telemetry.profile", "--json"]
    if resource.kind is Kind.GPU:
        command += ["--device", "cuda:0"]
    if folder is not None:
        command += ["--folder", str(folder)]
    process = subprocess.Popen(
        command,
        env={**os.environ, **ONE_THREAD, **resource.environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            if admit is not None:
                admit(process.pid)
            out, err = process.communicate("go\n", timeout=_PROFILE_TIMEOUT_S)
        except subprocess.TimeoutExpired as late:
            process.kill()
            told = f"was not measured within {_PROFILE_TIMEOUT_S:g} s; this machine has too much to do"
            raise ProbeTimeout(f"{resource.id}: {told}") from late
        except BaseException:
            process.kill()
            raise
    if process.returncode != 0:
        last = err.strip().splitlines()[-1:] or [f"exit code {process.returncode}"]
        raise DnamlError(f"{resource.id}: the probing process failed: {last[0]}")
    answer: dict[str, object] = json.loads(out)
    return answer


def _described(declared: Resource, measured: Mapping[str, object]) -> Resource:
    """Return the declared resource with every gap filled from the measurement."""
    import psutil

    found = measured["spec"]
    assert isinstance(found, dict)
    spec = {key: float(value) for key, value in found.items()}
    unit_type, memory_bytes = declared.unit_type, declared.memory_bytes
    if declared.kind is not Kind.GPU:
        unit_type = unit_type or UnitType(measured["unit_type"])
        memory_bytes = memory_bytes or int(psutil.virtual_memory().total)
    return replace(
        declared,
        unit_type=unit_type,
        memory_bytes=memory_bytes,
        # The best of the repeats: waiting for a busy core is contention, and no property of the resource.
        startup_s=_first(declared.startup_s, spec.get("startup_s_wall")),
        latency_s=_first(declared.latency_s, spec.get("latency_s_wall")),
        power_w=_first(declared.power_w, spec.get("power_w")),
        spec={**declared.spec, **spec} if _is_provisional(declared) else {**spec, **declared.spec},
        description=declared.description or str(measured.get("description", "")),
    )


def _first(declared: float | None, measured: float | None) -> float | None:
    return measured if declared is None else declared


def _is_provisional(resource: Resource) -> bool:
    """Tell numbers that a new profile replaces, an older profile's or a sheet's, from declared ones, which stay."""
    return "startup_s_spread" in resource.spec or "flops_are_from_sheet" in resource.spec


def main(arguments: list[str]) -> int:
    """Wait for a line on standard input, measure, print one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m dnaml.telemetry.profile")
    parser.add_argument("--json", action="store_true", help="print JSON, the only form there is")
    parser.add_argument("--folder", type=Path, help="where the disk is probed; the temporary folder by default")
    parser.add_argument("--device", help="probe this torch device instead of a core")
    options = parser.parse_args(arguments)
    sys.stdin.readline()
    measured = measure_device(options.device) if options.device else measure_core(options.folder)
    sys.stdout.write(json.dumps(measured) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
