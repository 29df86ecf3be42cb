"""Strong cheap predictors of runtime that run beside dnaml on the same tasks, each with one set of defaults."""

from benchmarks.prediction.peers.boosting import PooledBoosting, ResidualBoosting
from benchmarks.prediction.peers.collaborative import LatentFactors, Neighbours, Scaling
from benchmarks.prediction.peers.ernest import Ernest
from benchmarks.prediction.peers.history import Peer
from benchmarks.prediction.peers.similarity import SimilarityProcess
from benchmarks.prediction.peers.towers import TwoTowers

PEERS: tuple[type[Peer], ...] = (
    Scaling,
    Neighbours,
    LatentFactors,
    Ernest,
    ResidualBoosting,
    PooledBoosting,
    SimilarityProcess,
    TwoTowers,
)
QUICK: tuple[type[Peer], ...] = (Scaling, Neighbours, ResidualBoosting, SimilarityProcess)

__all__ = ["PEERS", "QUICK", "Peer", "Scaling"]
