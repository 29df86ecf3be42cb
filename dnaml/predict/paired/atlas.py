"""The DNA of a learned model: its own predictions over a catalogue, put into the short vectors of `dna.learned`."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from dnaml.core.dna import ComputationDNA, ResourceDNA
from dnaml.core.errors import InputError
from dnaml.dna.geometry import Weights
from dnaml.dna.learned import LARGEST_CATALOGUE, Loading, Space, learn_space
from dnaml.predict.paired.grid import Entity, FloatArray, IntArray
from dnaml.predict.paired.interpretable import Described
from dnaml.predict.paired.layout import Rows, TextArray
from dnaml.predict.paired.learned import Learned

MOST_RESOURCES = 2000  # that a space is learned on

Mix = Callable[[TextArray, TextArray, FloatArray], FloatArray]
"""from names of computations and resources [N] and what the learned model says of them [N, L] to what is said"""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Atlas:
    """The space and everything placed in it. Shapes: latent [N, 14] of resources, log_s [J, N] medians predicted."""

    space: Space
    resources: tuple[str, ...]
    computations: tuple[str, ...]
    latent: FloatArray
    log_s: FloatArray
    price_usd_per_h: FloatArray
    described: dict[str, Described]

    @classmethod
    def of(
        cls,
        learned: Learned,
        described: dict[str, Described],
        price_usd_per_s: dict[str, float],
        mix: Mix | None = None,
    ) -> "Atlas":
        """Return the atlas of a model: every resource and computation that it knows, most used first if too many."""
        resources, computations = (members(learned, entity) for entity in Entity)
        resources = resources[_most_used(resources.resource, described["resource"], MOST_RESOURCES)]
        computations = computations[_most_used(computations.computation, described["computation"], LARGEST_CATALOGUE)]
        log_s = medians(learned, computations, resources, mix)
        usage = _usage(computations.computation, described["computation"])
        names = tuple(resources.resource.tolist())
        price = np.array([price_usd_per_s.get(name, np.nan) * 3600 for name in names], dtype=np.float64)
        space = learn_space(log_s, usage, price_usd_per_h=price)
        return cls(
            space=space,
            resources=names,
            computations=tuple(computations.computation.tolist()),
            latent=space.resources(log_s),
            log_s=log_s,
            price_usd_per_h=price,
            described=described,
        )

    def resource_dna(self, name: str) -> ResourceDNA:
        """Return the Resource DNA of one resource; raise InputError for one that never ran and was not described."""
        place = self._place(self.resources, name, "resource")
        raw = self.described["resource"].resource(name)
        return self.space.resource_dnas([raw], self.latent[place : place + 1], self.price_usd_per_h[[place]])[0]

    def computation_dna(self, name: str, weights: Weights) -> ComputationDNA:
        """Return the Computation DNA of one computation asked about with these weights of time and cost."""
        loading = self.loading(name)
        return self.space.computation_dna(self.described["computation"].computation(_plain(name)), loading, weights)

    def loading(self, name: str) -> Loading:
        """Return how the predicted time of one computation depends on the resources' vectors."""
        place = self._place(tuple(_plain(n) for n in self.computations), _plain(name), "computation")
        return self.space.computation(self.log_s[place], self.latent)

    def _place(self, names: tuple[str, ...], name: str, what: str) -> int:
        if name not in names:
            near = ", ".join(names[:3])
            raise InputError(f"{name}: must be a {what} that the predictor knows, such as {near}")
        return names.index(name)


def members(learned: Learned, entity: Entity) -> Rows:
    """Return one row for each resource or computation known, by name: its own side of the row alone is filled."""
    side, scale_out = None, dict[str, float]()
    for name, direction in learned.directions.items():
        is_entity = name == entity.value
        side = direction.grid.entities if is_entity else side or direction.grid.items
        if not is_entity:
            scale_out = dict(zip(direction.grid.items.index, direction.grid.scale_out.tolist(), strict=True))
    assert side is not None, "a learned model has a direction"
    fresh_names, place = np.unique(learned.fresh.names(entity)[0], return_index=True)
    new = place[~np.isin(fresh_names, list(side.index))]
    column = 0 if entity is Entity.RESOURCE else 1
    names = np.concatenate([np.array(list(side.index), dtype=np.str_), learned.fresh.names(entity)[0][new]])
    raw = np.concatenate([side.raw, learned.fresh.descriptors(entity)[0][new]])
    out = np.full((len(names), 2), np.nan)
    out[: len(side), column] = [scale_out.get(name, np.nan) for name in side.index]
    out[len(side) :, column] = learned.fresh.scale_out[new, column]
    blank, nothing = np.full(len(names), "", dtype="<U1"), np.empty((len(names), 0))
    resource = entity is Entity.RESOURCE
    return Rows(
        resource=names if resource else blank,
        computation=blank if resource else names,
        resource_x=raw if resource else nothing,
        computation_x=nothing if resource else raw,
        telemetry=np.full((len(names), learned.fresh.telemetry.shape[1]), np.nan),
        scale_out=out,
        group=blank,
        y=np.full(len(names), np.nan),
    )


def medians(learned: Learned, computations: Rows, resources: Rows, mix: Mix | None = None) -> FloatArray:
    """Return predicted median ln seconds [J, N] of every computation on every resource."""
    rows = crossed(computations, resources)
    log_values, _ = learned.quantiles(rows)
    if mix is not None:
        names = np.array([_plain(name) for name in rows.computation.tolist()], dtype=np.str_)
        log_values = mix(names, rows.resource, log_values)
    found: FloatArray = log_values[:, log_values.shape[1] // 2].reshape(len(computations), len(resources))
    return found


def crossed(computations: Rows, resources: Rows) -> Rows:
    """Return the pairs [J * N] of every computation with every resource, resources running fastest."""
    c = np.repeat(np.arange(len(computations)), len(resources))
    r = np.tile(np.arange(len(resources)), len(computations))
    return Rows(
        resource=resources.resource[r],
        computation=computations.computation[c],
        resource_x=resources.resource_x[r],
        computation_x=computations.computation_x[c],
        telemetry=computations.telemetry[c],
        scale_out=np.stack([resources.scale_out[r, 0], computations.scale_out[c, 1]], axis=1),
        group=computations.group[c],
        y=np.full(len(c), np.nan),
    )


def _plain(name: str) -> str:
    return name.split("\x1f", 1)[0]


def _usage(names: "np.ndarray[tuple[int], np.dtype[np.str_]]", described: Described) -> FloatArray:
    runs = dict(zip(described.names, described.runs.tolist(), strict=True))
    return np.array([max(runs.get(_plain(name), 1.0), 1.0) for name in names.tolist()], dtype=np.float64)


def _most_used(names: "np.ndarray[tuple[int], np.dtype[np.str_]]", described: Described, most: int) -> IntArray:
    return np.sort(np.argsort(-_usage(names, described), kind="stable")[:most])
