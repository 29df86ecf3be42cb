"""The value classes that a stored learned model is made of: nothing else is ever built from a model file."""

from dnaml.predict.calibration import Calibration
from dnaml.predict.design import Column, Encoder
from dnaml.predict.paired.direction import Direction
from dnaml.predict.paired.gate import Gate
from dnaml.predict.paired.grid import Grid, Scale, Side, Surprise
from dnaml.predict.paired.intervals import Intervals
from dnaml.predict.paired.latent import Latent, Latents
from dnaml.predict.paired.layout import Layout, Rows, Telemetry
from dnaml.predict.paired.learned import Learned
from dnaml.predict.paired.members import Fitted
from dnaml.predict.paired.prior import Prior
from dnaml.predict.paired.regress import Kernel, Regressor
from dnaml.predict.paired.sources import Sources

PARTS: tuple[type, ...] = (
    Calibration,
    Column,
    Direction,
    Encoder,
    Fitted,
    Gate,
    Grid,
    Intervals,
    Kernel,
    Latent,
    Latents,
    Layout,
    Learned,
    Prior,
    Regressor,
    Rows,
    Scale,
    Side,
    Sources,
    Surprise,
    Telemetry,
)
