"""A Ray user's way in: where an existing `ray.remote` function runs best, as the options that pin it there.

>>> # square.options(**place(square, (7,))).remote(7)

Nothing of dnaml runs on the nodes for this; `survey` measures them once, by one short pinned task each.
"""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import numpy as np

from dnaml.core.errors import DnamlError, InputError, MissingExtra
from dnaml.core.plan import Problem
from dnaml.core.protocols import Policy, Predictor
from dnaml.core.resource import Kind, Resource
from dnaml.core.work import Constraints, Job, Objective
from dnaml.execution.fingerprint.naming import computation_of
from dnaml.execution.on_ray import nodes

_AMOUNT_OF = {Kind.CPU: "CPU", Kind.GPU: "GPU"}


@dataclass(frozen=True, kw_only=True)
class Placer:
    """Decides by a predictor and an objective; `resources` are the nodes as `survey` found them (default: as declared).

    Constraints with labels ask for Ray's labels, custom resources and accelerator types by their names.
    """

    resources: Sequence[Resource] = ()
    predictor: Predictor | None = None
    objective: Objective | str | Mapping[str, float] = "balanced"
    constraints: Constraints = field(default_factory=Constraints)

    def options(
        self, fn: Callable[..., Any], args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Return the Ray options that pin one call; raises InputError, with the reason, if no node may take it."""
        ray = _ray()
        alive = {nodes.resource_id_of(node): node for node in ray.nodes() if node["Alive"]}
        pool = tuple(r for r in self.resources if _node_of(r) in alive) or _declared(alive.values())
        computation = computation_of(getattr(fn, "_function", fn), args, dict(kwargs or {}))
        job = Job(id="call", computation_id=computation.id, submitted_at_s=0.0, constraints=self.constraints)
        prediction = _predictor(self.predictor).predict([computation], pool)
        free = _free(alive)
        median_s = prediction.runtime_s.quantile(0.5)[0]
        is_free = [free.get(_node_of(each), {}).get(_AMOUNT_OF.get(each.kind, ""), 0.0) >= 1.0 for each in pool]
        problem = Problem(
            at_s=0.0,
            jobs=(job,),
            computations=(computation,),
            resources=pool,
            free_in_s=np.where(is_free, 0.0, np.nan_to_num(median_s, nan=1.0)),  # busy: about one such call to wait
            prediction=prediction,
            objective=Objective.of(self.objective),
        )
        plan = _policy().plan(problem)
        if not plan.placements:
            raise InputError(f"{computation.kernel}: no node may take it: {plan.unplaced[job.id]}")
        chosen = next(each for each in pool if each.id == plan.placements[0].resource_id)
        return _pinned(chosen, str(alive[_node_of(chosen)]["NodeID"]))


def place(
    fn: Callable[..., Any],
    args: tuple[Any, ...] = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    placer: Placer | None = None,
) -> dict[str, Any]:
    """Return the options for `fn.options(**options)` that pin one call to the node where it runs best.

    `fn` is a `ray.remote` function or a plain one; Ray must be initialised. Raises InputError when no node may take it.
    """
    return (placer or Placer()).options(fn, args, kwargs)


def survey(*, probe: bool = True, within_s: float = 60.0) -> tuple[Resource, ...]:
    """Return every living node as resources, measured by micro-probes in a task pinned to it: some seconds in all.

    A node that has not answered `within_s` is as Ray declares it, one that is gone by then is left out.
    """
    ray = _ray()
    alive = [node for node in ray.nodes() if node["Alive"]]
    task = ray.remote(num_cpus=0, max_retries=0)(_described)
    references = [
        task.options(**_pinned(_declared([node])[0], node["NodeID"])).remote(_declared([node]), probe) for node in alive
    ]
    answered = ray.wait(references, num_returns=len(references), timeout=within_s)[0]
    found: list[Resource] = []
    for node, reference in zip(alive, references, strict=True):
        if reference not in answered:
            ray.cancel(reference)
            found += _declared([node])
            continue
        with contextlib.suppress(ray.exceptions.RayError):
            found += ray.get(reference)
    return tuple(found)


def _described(declared: tuple[Resource, ...], probe: bool) -> tuple[Resource, ...]:
    """Run on a node: say what it is."""
    here = nodes.on_this_machine(declared)
    return nodes.probed(here) if probe else here


def _declared(alive: Any) -> tuple[Resource, ...]:  # Any: entries of ray.nodes()
    return tuple(
        resource
        for node in alive
        for resource in nodes.declared(
            nodes.resource_id_of(node), node["NodeManagerHostname"], node["Labels"], node["Resources"]
        )
    )


def _node_of(resource: Resource) -> str:
    """Return the id of the node's own resource: accelerators are named after it."""
    return resource.domain.partition("/")[2] or resource.id


def _free(alive: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Return what Ray says is free on each node, by its resource id; all of it where it does not say."""
    state = import_module("ray._private.state")  # there is no public call for what is free on one node
    names = {node["NodeID"]: name for name, node in alive.items()}
    return {names[node_id]: free for node_id, free in state.available_resources_per_node().items() if node_id in names}


def _pinned(resource: Resource, node_id: str) -> dict[str, Any]:
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    options: dict[str, Any] = {"scheduling_strategy": NodeAffinitySchedulingStrategy(node_id, soft=False)}
    if resource.kind is Kind.GPU:
        options["num_gpus"] = 1
    return options


def _ray() -> Any:  # Any: Ray has no types for a checker
    try:
        import ray
    except ImportError as error:
        raise MissingExtra("Ray is not installed; install it with: pip install 'dnaml[ray]'") from error
    if not ray.is_initialized():
        raise DnamlError("ray.init() must have run before calls are placed, got no running Ray")
    return ray


def _predictor(given: Predictor | None) -> Predictor:
    from dnaml.predict.placing import LivePredictor

    return given if given is not None else LivePredictor()


def _policy() -> Policy:
    from dnaml.schedule.matching import MatchingPolicy

    return MatchingPolicy()
