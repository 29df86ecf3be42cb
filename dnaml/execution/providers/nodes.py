"""Machines that are nodes of a cluster somebody else runs: Ray's raylets on one host, or what its autoscaler starts.

The cluster comes as a value with four calls, so that nothing here needs Ray (`on_ray` has the real one).
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Protocol

from dnaml.core.resource import Resource
from dnaml.execution.providers.provider import Order, ProviderError


class Nodes(Protocol):
    """A cluster that can be asked for nodes."""

    def add(self, like: Resource, token: str) -> str:
        """Start a node and return its id; the same token again returns the same node."""
        ...

    def remove(self, node_id: str) -> None:
        """Take a node out of the cluster."""
        ...

    def is_alive(self, node_id: str) -> bool:
        """Say whether the cluster hears of a node."""
        ...

    def started(self) -> Mapping[str, str]:
        """Return the nodes that were added and not removed, id -> token."""
        ...


class NodeProvider:
    """Sells nodes of a cluster made after templates."""

    def __init__(self, name: str, nodes: Nodes, templates: Mapping[str, Resource]) -> None:
        self.name = name
        self._nodes = nodes
        self._templates = dict(templates)

    def price_usd_per_h(self, template: str) -> float | None:
        """Return the price of a template; None if there is none of the name."""
        made = self._templates.get(template)
        return None if made is None else made.price_usd_per_h or 0.0

    def acquire(self, order: Order) -> Resource:
        """Start a node; raise ProviderError when the cluster does not."""
        like = self._templates[order.template]
        try:
            return replace(like, id=self._nodes.add(like, order.token))
        except (OSError, RuntimeError) as error:
            raise ProviderError(f"{order.template}: the cluster added no node: {error}") from error

    def release(self, resource_id: str) -> None:
        """Take a node out of the cluster."""
        if resource_id in self._nodes.started():
            self._nodes.remove(resource_id)

    def alive(self, resource_id: str) -> bool:
        """Say whether the cluster hears of a node."""
        return self._nodes.is_alive(resource_id)

    def billed(self) -> Mapping[str, str]:
        """Return the nodes that were added, id -> template; a token is the template and a number."""
        return {node: token.rpartition("-")[0] for node, token in self._nodes.started().items()}
