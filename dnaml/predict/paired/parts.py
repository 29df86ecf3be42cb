"""The value classes that a stored learned model is made of: nothing else is ever built from a model file."""

from dnaml.predict.calibration import Calibration
from dnaml.predict.design import Column, Encoder
from dnaml.predict.paired.direction import Direction
from dnaml.predict.paired.ernest import Curves
from dnaml.predict.paired.gate import Gate
from dnaml.predict.paired.grid import Grid, Members, Scale, Surprise
from dnaml.predict.paired.interpretable import Described
from dnaml.predict.paired.intervals import Intervals
from dnaml.predict.paired.kernels import Settings
from dnaml.predict.paired.latent import Latent, Latents
from dnaml.predict.paired.layout import Layout, Rows, Telemetry
from dnaml.predict.paired.learned import Learned
from dnaml.predict.paired.members import Fitted
from dnaml.predict.paired.net import Encoding, Net, OneNet, Profile, Tower
from dnaml.predict.paired.prior import VectorPrior
from dnaml.predict.paired.quantities import Quantities
from dnaml.predict.paired.regress import Kernel, Regressor
from dnaml.predict.paired.ridges import Ridges
from dnaml.predict.paired.rows import PreparedRows
from dnaml.predict.paired.signature import Signatures, Signed
from dnaml.predict.paired.similarity import PreparedSimilarity
from dnaml.predict.paired.sources import Sources

PARTS: tuple[type, ...] = (
    Calibration,
    Column,
    Curves,
    Described,
    Direction,
    Encoder,
    Encoding,
    Fitted,
    Gate,
    Grid,
    Intervals,
    Kernel,
    Latent,
    Latents,
    Layout,
    Learned,
    Net,
    OneNet,
    PreparedRows,
    PreparedSimilarity,
    VectorPrior,
    Profile,
    Quantities,
    Regressor,
    Ridges,
    Rows,
    Scale,
    Settings,
    Signatures,
    Signed,
    Members,
    Sources,
    Surprise,
    Telemetry,
    Tower,
)
