"""Counts what torch does, operation by operation: floating-point operations and their precision.

Operations for which torch itself has a formula (products, convolutions, attention) count towards `flop`; all others
only weigh the mix of precisions, by the elements they make. Imported only where torch is.
"""

import time
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from dnaml.execution.fingerprint.sampling import precision_of

_EMPTY: dict[str, Any] = {}


class TorchOps(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch leaves its modes untyped
    """Is a context in which every operation of torch is counted, those of the backward pass included."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.flop: dict[str, float] = {}
        self.weight: dict[str, float] = {}
        self.inside_s = 0.0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:  # Any: torch's own protocol
        """Run one operation and count it; what inference mode leaves whole is taken apart first."""
        named = kwargs or _EMPTY
        formula = flop_registry.get(func._overloadpacket)
        if formula is None and torch.is_inference_mode_enabled() and func is not torch.ops.prim.device.default:
            with self:
                made = func.decompose(*args, **named)
            if made is not NotImplemented:
                return made
        started_s = time.perf_counter()
        out = func(*args, **named)
        self.inside_s += time.perf_counter() - started_s
        self._count(formula, args, named, out)
        return out

    def _count(self, formula: Any, args: tuple[Any, ...], named: dict[str, Any], out: Any) -> None:
        first = _first_tensor(args) if _first_tensor(args) is not None else _first_tensor((out,))
        if first is None:
            return
        kind = precision_of(first.dtype)
        weight = float(out.numel()) if isinstance(out, torch.Tensor) else float(first.numel())
        if formula is not None:
            weight = float(formula(*args, **named, out_val=out))
            self.flop[kind] = self.flop.get(kind, 0.0) + weight
        self.weight[kind] = self.weight.get(kind, 0.0) + weight


def _first_tensor(values: tuple[Any, ...]) -> torch.Tensor | None:
    for value in values:
        if isinstance(value, torch.Tensor):
            return value
        if isinstance(value, (list, tuple)) and value and isinstance(value[0], torch.Tensor):
            return value[0]
    return None
