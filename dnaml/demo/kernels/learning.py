"""Kernels of learning: a scikit-learn fit, and a small torch training that offers a checkpoint after each step.

Both packages are imported inside the functions.
"""

from itertools import pairwise
from typing import TYPE_CHECKING, Any  # Any: the optimiser's state is torch's own affair

from dnaml.demo.kernels.arrays import drawn

if TYPE_CHECKING:
    from dnaml.execution.context import Context

_COLUMNS = 160
_WIDTHS = (64, 256, 256, 1)
_BATCH = 256
FLOP_PER_STEP = 2.0 * _BATCH * (3 * sum(i * o for i, o in pairwise(_WIDTHS)) - _WIDTHS[0] * _WIDTHS[1])
"""multiplications and additions of one training step: forward, and backward twice that but for the data's gradient"""


def fit_pca(size: int, seed: int = 0) -> float:
    """Fit scikit-learn's principal components to `size` rows of 160 columns."""
    from sklearn.decomposition import PCA

    rows = drawn(seed).random((size, _COLUMNS))
    return float(PCA(8, svd_solver="covariance_eigh").fit(rows).explained_variance_.sum())


def train_mlp(size: int, seed: int = 0, *, context: "Context | None" = None) -> float:
    """Train a network of three layers for `size` steps of Adam in torch and return the last loss.

    With a context it goes on from the newest checkpoint, offers one after each step, and stops when asked to.
    """
    training = _Training(seed)
    if context is not None and (kept := context.restore()) is not None:
        training.load(kept)
    while training.done < size:
        training.step()
        if context is not None:
            context.save(training.done / size, training.state)
            if context.should_stop():
                break
    return training.loss


class _Training:
    """Data, network and optimiser of one run, all from its seed."""

    def __init__(self, seed: int) -> None:
        import torch

        torch.set_num_threads(1)
        generator = torch.Generator().manual_seed(seed)
        self._x = torch.rand(_BATCH, _WIDTHS[0], generator=generator)
        self._target = torch.sin(self._x.sum(1, keepdim=True))
        self._layers = [
            torch.nn.Parameter(torch.randn(i, o, generator=generator) * (2 / i) ** 0.5) for i, o in pairwise(_WIDTHS)
        ]
        self._optimiser = torch.optim.Adam(self._layers, lr=1e-3)
        self.done = 0
        self.loss = 0.0

    def step(self) -> None:
        """Take one step over the whole batch."""
        first, second, last = self._layers
        predicted = (self._x @ first).relu().matmul(second).relu().matmul(last)
        loss = (predicted - self._target).square().mean()
        self._optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimiser.step()
        self.done += 1
        self.loss = float(loss.detach())

    def state(self) -> dict[str, Any]:
        """Return all that `load` needs to go on as if nothing had happened."""
        layers = [layer.detach() for layer in self._layers]
        return {"done": self.done, "loss": self.loss, "layers": layers, "optimiser": self._optimiser.state_dict()}

    def load(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        self.done, self.loss = state["done"], state["loss"]
        for layer, kept in zip(self._layers, state["layers"], strict=True):
            layer.data.copy_(kept)
        self._optimiser.load_state_dict(state["optimiser"])
