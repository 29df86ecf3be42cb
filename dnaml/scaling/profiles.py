"""What machines of a template measure: the first one that comes is probed, and those after it are taken to be alike."""

import logging
import threading
from collections.abc import Callable
from dataclasses import replace

from dnaml.core.errors import DnamlError
from dnaml.core.events import Event, ResourceDown, ResourceUp
from dnaml.core.resource import Kind, Resource, Site
from dnaml.execution.autoscaling import LABEL

_log = logging.getLogger(__name__)


class Profiles:
    """Posts what happens to machines, with what was measured of their template; call it from any thread.

    Only machines that are processes of this host are probed from here, those without a measured spec; nodes
    elsewhere are probed by the back end that reaches them.
    """

    def __init__(
        self,
        probes: bool,
        post: Callable[[Event], None],
        now_s: Callable[[], float],
        profile: Callable[[Resource], Resource] | None = None,
    ) -> None:
        self._probes = probes
        self._post = post
        self._now_s = now_s
        self._profile = profile or _measured
        self._lock = threading.Lock()
        self._known: dict[str, Resource] = {}
        self._there: dict[str, Resource] = {}
        self._measuring: dict[str, threading.Thread] = {}

    def __call__(self, event: Event) -> None:
        """Post an event; the first machine of a template is probed, and described again when that is done."""
        with self._lock:
            if isinstance(event, ResourceDown):
                self._there.pop(event.resource_id, None)
            elif isinstance(event, ResourceUp):
                event = replace(event, resource=self._came(event.resource))
            self._post(event)

    def wait(self) -> None:
        """Return when everything that is being probed was probed."""
        for thread in list(self._measuring.values()):
            thread.join()

    def _came(self, resource: Resource) -> Resource:
        if not self._probes or resource.site is not Site.LOCAL or resource.kind is not Kind.CPU or resource.spec:
            return resource
        template = resource.labels.get(LABEL, "")
        if template in self._known:
            resource = _profiled(resource, self._known[template])
        elif template not in self._measuring:
            thread = threading.Thread(target=self._measure, args=(resource, template), name="dnaml-probe", daemon=True)
            self._measuring[template] = thread
            thread.start()
        self._there[resource.id] = resource
        return resource

    def _measure(self, resource: Resource, template: str) -> None:
        try:
            known = self._profile(resource)
        except (DnamlError, OSError) as error:
            _log.warning("%s could not be probed: %s", resource.id, error)
            return
        with self._lock:
            self._known[template] = known
            alike = [one for one in self._there.values() if one.labels.get(LABEL, "") == template]
            for one in alike:  # one that went meanwhile must not come back
                self._there[one.id] = _profiled(one, known)
                self._post(ResourceUp(at_s=self._now_s(), resource=self._there[one.id]))


def _measured(resource: Resource) -> Resource:
    from dnaml.telemetry.profile import profile_resource

    return profile_resource(resource)


def _profiled(resource: Resource, known: Resource) -> Resource:
    return replace(resource, spec=known.spec, unit_type=known.unit_type, description=known.description)
