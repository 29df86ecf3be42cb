"""Machines that are processes here: each one a holder process whose life is the machine's, for one machine and tests.

A machine of this provider adds slots on this host. The engine's local back end runs the work; when the holder dies,
the machine is gone.
"""

import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import replace

from dnaml.core.resource import Resource
from dnaml.execution.providers.provider import Order, QuotaRefused

# A holder ends by itself when the process that started it is gone: its standard input closes.
_HOLD = "import sys; sys.stdin.read()"


class LocalProcesses:
    """Sells at most `most` machines made after templates, name -> what the resource is like (its id is replaced)."""

    name = "local"

    def __init__(self, templates: Mapping[str, Resource], *, most: int = 4) -> None:
        self._templates = dict(templates)
        self._most = most
        self._lock = threading.Lock()
        self._by_token: dict[str, Resource] = {}
        self._holders: dict[str, tuple[str, subprocess.Popen[bytes]]] = {}

    def price_usd_per_h(self, template: str) -> float | None:
        """Return the price of a template; None if there is none of the name."""
        made = self._templates.get(template)
        return None if made is None else made.price_usd_per_h or 0.0

    def acquire(self, order: Order) -> Resource:
        """Start a holder; raise QuotaRefused when `most` are there."""
        with self._lock:
            if order.token in self._by_token:
                return self._by_token[order.token]
            if len(self._holders) >= self._most:
                raise QuotaRefused(f"{order.template}: {self._most} machines are all there are here")
            resource = replace(self._templates[order.template], id=order.token)
            holder = subprocess.Popen([sys.executable, "-S", "-c", _HOLD], stdin=subprocess.PIPE)
            self._holders[resource.id] = (order.template, holder)
            self._by_token[order.token] = resource
            return resource

    def release(self, resource_id: str) -> None:
        """End the holder of a machine."""
        with self._lock:
            _, holder = self._holders.pop(resource_id, ("", None))
            self._by_token.pop(resource_id, None)
        if holder is not None:
            holder.kill()
            holder.wait()
            if holder.stdin is not None:
                holder.stdin.close()

    def alive(self, resource_id: str) -> bool:
        """Say whether the holder of a machine lives."""
        holder = self._holders.get(resource_id)
        return holder is not None and holder[1].poll() is None

    def billed(self) -> Mapping[str, str]:
        """Return the machines that were not given back, id -> template."""
        with self._lock:
            return {resource_id: template for resource_id, (template, _) in self._holders.items()}

    def kill(self, resource_id: str) -> None:
        """Kill the holder of a machine, as if the machine died: it is billed until it is given back."""
        self._holders[resource_id][1].kill()
        self._holders[resource_id][1].wait()
