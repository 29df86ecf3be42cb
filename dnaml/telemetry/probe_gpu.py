"""Probes of one torch device (`cuda:0`): products, memory, transfer from the host, launch of a kernel.

On the wall clock, each step waiting for the device. On `cpu` they run too, which is how they are tested without a GPU.
"""

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import Any

from dnaml.telemetry.probes import Clock, Form, Probe, Step

_BYTES = 256 << 20
_LAUNCHES = 50


def gpu_probes(device: str, *, side: int = 4096, array_bytes: int = _BYTES) -> list[Probe]:
    """Return the probes of a device; `side` is that of the matrices, whose products should take milliseconds."""
    setups: dict[str, Callable[[ExitStack], Step]] = {
        "fp64_flop_per_s": partial(_product, device=device, dtype="float64", side=side),
        "fp32_flop_per_s": partial(_product, device=device, dtype="float32", side=side),
        "bf16_flop_per_s": partial(_product, device=device, dtype="bfloat16", side=side),
        "int8_op_per_s": partial(_int8_product, device=device, side=side),
        "sequential_bytes_per_s": partial(_copy, device=device, array_bytes=array_bytes),
        "gather_items_per_s": partial(_gather, device=device, array_bytes=array_bytes),
        "transfer_bytes_per_s": partial(_transfer, device=device, array_bytes=array_bytes),
    }
    launch = Probe(key="launch_s", setup=partial(_launch, device=device), clock=Clock.WALL, form=Form.DURATION)
    return [*(Probe(key=key, setup=setup, clock=Clock.WALL) for key, setup in setups.items()), launch]


def _torch(device: str) -> tuple[Any, Callable[[], None]]:  # Any: torch is imported in the probing process alone
    """Return torch and what waits for the device; RuntimeError where torch cannot use it."""
    import torch

    if device == "cpu":
        return torch, lambda: None
    if not torch.cuda.is_available():
        raise RuntimeError(f"{device}: this torch has no CUDA device")
    return torch, torch.cuda.synchronize


def _waiting(work: Callable[[], object], wait: Callable[[], None], amount: float) -> Step:
    def step() -> float:
        work()
        wait()
        return amount

    step()
    return step


def _product(stack: ExitStack, *, device: str, dtype: str, side: int) -> Step:
    torch, wait = _torch(device)
    a = torch.rand(side, side, device=device).to(getattr(torch, dtype))
    return _waiting(lambda: torch.mm(a, a), wait, 2.0 * side**3)


def _int8_product(stack: ExitStack, *, device: str, side: int) -> Step:
    torch, wait = _torch(device)
    a = torch.randint(-100, 100, (side, side), dtype=torch.int8, device=device)
    return _waiting(lambda: torch._int_mm(a, a), wait, 2.0 * side**3)


def _copy(stack: ExitStack, *, device: str, array_bytes: int) -> Step:
    torch, wait = _torch(device)
    source = torch.ones(array_bytes // 4, device=device)
    target = torch.empty_like(source)
    return _waiting(lambda: target.copy_(source), wait, 2.0 * array_bytes)


def _gather(stack: ExitStack, *, device: str, array_bytes: int) -> Step:
    torch, wait = _torch(device)
    table = torch.ones(array_bytes // 4, device=device)
    places = torch.randint(0, len(table), (1 << 20,), device=device)
    return _waiting(lambda: table[places], wait, float(1 << 20))


def _transfer(stack: ExitStack, *, device: str, array_bytes: int) -> Step:
    torch, wait = _torch(device)
    source = torch.ones(array_bytes // 16, pin_memory=device != "cpu")
    target = torch.empty_like(source, device=device)
    return _waiting(lambda: target.copy_(source), wait, float(source.numel() * 4))


def _launch(stack: ExitStack, *, device: str) -> Step:
    torch, wait = _torch(device)
    one = torch.ones(1, device=device)

    def many() -> None:
        for _ in range(_LAUNCHES):
            one.add_(0)

    return _waiting(many, wait, float(_LAUNCHES))
