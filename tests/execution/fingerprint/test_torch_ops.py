"""Torch's operations are counted by precision, those of the backward pass too."""

import pytest

torch = pytest.importorskip("torch")

from dnaml.execution.fingerprint.torch_ops import TorchOps  # noqa: E402


def test_products_count_their_operations_by_precision() -> None:
    with TorchOps() as ops:
        torch.ones(4, 8) @ torch.ones(8, 2)
        torch.ones(3, 3, dtype=torch.float64) @ torch.ones(3, 3, dtype=torch.float64)
        torch.ones(2, 2, dtype=torch.bfloat16) @ torch.ones(2, 2, dtype=torch.bfloat16)
    assert ops.flop == {"fp32": 2 * 4 * 8 * 2, "fp64": 2 * 27, "low": 2 * 8}
    assert ops.inside_s > 0


def test_forward_and_backward_agree_with_torchs_own_counter() -> None:
    from torch.utils.flop_counter import FlopCounterMode

    def step() -> None:
        torch.manual_seed(0)
        model = torch.nn.Sequential(torch.nn.Linear(16, 32), torch.nn.ReLU(), torch.nn.Linear(32, 4))
        model(torch.ones(8, 16)).sum().backward()

    with TorchOps() as ours:
        step()
    with FlopCounterMode(display=False) as theirs:
        step()
    assert sum(ours.flop.values()) == theirs.get_total_flops() > 0


def test_what_inference_mode_leaves_whole_is_taken_apart() -> None:
    layer = torch.nn.Linear(16, 32)
    with torch.inference_mode(), TorchOps() as ops:
        layer(torch.ones(8, 16))
    assert ops.flop["fp32"] == 2 * 8 * 16 * 32


def test_other_operations_weigh_the_mix_by_their_elements() -> None:
    with TorchOps() as ops:
        torch.ones(10, dtype=torch.float64) + 1
        torch.stack([torch.ones(2), torch.ones(2)])
    assert ops.flop == {}
    assert ops.weight["fp64"] >= 10
    assert ops.weight["fp32"] >= 4
