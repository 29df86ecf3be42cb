"""The first machine of a template is probed; those after it are taken to be alike; none that went comes back."""

import threading
from dataclasses import replace

import pytest

from dnaml.core.errors import InputError
from dnaml.core.events import ResourceDown, ResourceUp
from dnaml.core.resource import Kind, Resource, Site
from dnaml.execution.autoscaling import LABEL
from dnaml.scaling.profiles import Profiles

SPEC = {"fp64_flop_per_s": 1e9}


def machine(name: str, **fields: object) -> Resource:
    return replace(Resource(id=name, labels={LABEL: "small"}), **fields)


def up(resource: Resource) -> ResourceUp:
    return ResourceUp(at_s=1.0, resource=resource)


def measured(resource: Resource) -> Resource:
    return replace(resource, spec=SPEC)


def test_the_first_is_probed_and_all_alike_are_described_by_it():
    posted, probed, may = [], [], threading.Event()

    def probe(resource: Resource) -> Resource:
        may.wait(30)
        probed.append(resource.id)
        return measured(resource)

    profiles = Profiles(True, posted.append, lambda: 7.0, probe)
    for name in ("a", "b", "gone"):
        profiles(up(machine(name)))
    profiles(ResourceDown(at_s=2.0, resource_id="gone", reason="given back"))
    may.set()
    profiles.wait()
    profiles(up(machine("c")))
    assert probed == ["a"]
    described = [event.resource.id for event in posted if isinstance(event, ResourceUp) and event.resource.spec == SPEC]
    assert described == ["a", "b", "c"]
    assert posted[4].at_s == 7.0


def test_a_probe_that_fails_changes_nothing():
    posted = []

    def fails(resource: Resource) -> Resource:
        raise InputError("no such probe")

    profiles = Profiles(True, posted.append, lambda: 7.0, fails)
    profiles(up(machine("a")))
    profiles.wait()
    assert posted == [up(machine("a"))]


def test_what_is_elsewhere_measured_already_or_no_processor_is_left_as_it_is():
    posted = []
    told = [
        machine("a", site=Site.CLOUD, domain="z"),
        machine("b", spec={"cores": 1.0}),
        machine("c", kind=Kind.GPU),
    ]
    profiles = Profiles(True, posted.append, lambda: 7.0, measured)
    for one in told:
        profiles(up(one))
    off = Profiles(False, posted.append, lambda: 7.0, measured)
    off(up(machine("d")))
    profiles.wait()
    assert posted == [up(one) for one in (*told, machine("d"))]


@pytest.mark.soak
def test_a_real_probe_measures_a_machine_of_this_host():
    posted = []
    profiles = Profiles(True, posted.append, lambda: 7.0)
    profiles(up(machine("a")))
    profiles.wait()
    assert posted[-1].resource.spec["fp64_flop_per_s"] > 1e6
