"""The DNA drawn flat: resources that lie together run the same work alike; an arrow shows what suits a computation."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from dnaml.core.dna import ResourceDNA
from dnaml.core.errors import InputError
from dnaml.core.resource import Resource
from dnaml.dna.flat import plane
from dnaml.dna.geometry import DIRECTIONS, LATENT, learned_version
from dnaml.dna.learned import Loading
from dnaml.dna.projection import Projection
from dnaml.dna.space import resource_dna
from dnaml.nb.canvas import canvas
from dnaml.nb.sources import history_of
from dnaml.predict.runtime import RuntimePredictor

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from dnaml.client import Executor
    from dnaml.history import History

FloatArray = npt.NDArray[np.float64]
FEWEST = 2


def dna_map(
    subject: "RuntimePredictor | Executor | History | str | Path | Sequence[Resource | ResourceDNA]",
    *,
    computations: Sequence[str] = (),
    ax: "Axes | None" = None,
) -> "Axes":
    """Draw resources in the two directions of most difference.

    A fitted predictor gives the learned space: distances are differences of ln seconds over the usual computations,
    and each of `computations` (ids that it knows) is an arrow towards the resources that suit it better than usual.
    Resources, their DNAs or a state folder give the raw slots that half of them know.
    """
    if isinstance(subject, RuntimePredictor):
        return _learned(subject, computations, ax)
    if computations:
        raise InputError("dna_map: computations are drawn on the map of a fitted predictor alone")
    given = subject if isinstance(subject, Sequence) and not isinstance(subject, str) else None
    found = tuple(history_of(subject).resources.values()) if given is None else given  # type: ignore[arg-type]
    dnas = [one if isinstance(one, ResourceDNA) else resource_dna(one) for one in found]
    _check(len(dnas))
    places = plane(np.array([dna.vector for dna in dnas], dtype=np.float64))
    axes = canvas(ax, across="first direction (standardised slots)", up="second direction (standardised slots)")
    return _named(axes, [dna.owner_id for dna in dnas], places)


def _learned(model: RuntimePredictor, computations: Sequence[str], ax: "Axes | None") -> "Axes":
    names = list(model.resources)
    _check(len(names))
    dnas = [model.resource_dna(name) for name in names]
    latent = np.array([dna.vector[LATENT] for dna in dnas], dtype=np.float64)
    version = learned_version(dnas[0].version) or ""
    projection = Projection.of(latent, version)
    first, second = (f"{share:.0%} of the variance" for share in projection.explained_share)
    axes = canvas(ax, across=f"first direction (ln seconds, {first})", up=f"second direction (ln seconds, {second})")
    places = projection.resources(names, latent).xy
    _named(axes, names, places)
    arrows = projection.computations(list(computations), [_loading(model, one, version) for one in computations]).xy
    longest = float(np.linalg.norm(arrows, axis=1).max(initial=0.0))
    reach = 0.8 * float(np.abs(places).max()) / longest if longest > 0 else 0.0
    for name, (x, y) in zip(computations, (arrows * reach).tolist(), strict=True):
        axes.annotate("", (x, y), (0, 0), arrowprops={"arrowstyle": "->", "color": "C1"})
        axes.annotate(name, (x, y), fontsize=7, color="C1")
    return axes


def _loading(model: RuntimePredictor, computation_id: str, version: str) -> Loading:
    """Return the loading behind a Computation DNA that asks about time alone: its learned slots are minus phi."""
    vector = model.computation_dna(computation_id, "min_latency").vector[LATENT].astype(np.float64)
    return Loading(phi=-vector.reshape(DIRECTIONS), log_offset_s=0.0, version=version)


def _named(axes: "Axes", names: Sequence[str], places: FloatArray) -> "Axes":
    axes.plot(places[:, 0], places[:, 1], "o", markersize=4)
    for name, (x, y) in zip(names, places.tolist(), strict=True):
        axes.annotate(name, (x, y), fontsize=7, xytext=(3, 3), textcoords="offset points")
    return axes


def _check(count: int) -> None:
    if count < FEWEST:
        raise InputError(f"dna_map: needs {FEWEST} resources at least, got {count}")
