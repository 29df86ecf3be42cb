"""What an engine starts with when nobody names resources: those of the state folder, else this machine."""

from dnaml.core.resource import Kind, Resource, Site
from dnaml.telemetry.declared import write_resources
from dnaml.telemetry.local import resources_of, this_machine


def test_this_machine_tells_memory_cores_and_unit_without_a_probe_and_leaves_the_rest_open():
    machine = this_machine()
    assert machine.kind is Kind.CPU
    assert machine.site is Site.LOCAL
    assert machine.slots >= 1
    assert (machine.memory_bytes or 0) > 2**28
    assert machine.unit_type is not None
    assert machine.latency_s is None
    assert machine.price_usd_per_h is None


def test_a_state_folder_gives_its_local_resources_and_none_elsewhere(tmp_path):
    assert resources_of(tmp_path)[0].id == "local"
    kept = Resource(id="capped", environment={"OPENBLAS_CORETYPE": "Haswell"}, price_usd_per_h=0.5)
    write_resources(tmp_path / "resources.toml", [kept, Resource(id="cloud", site=Site.CLOUD)])
    (found,) = resources_of(tmp_path)
    assert found.id == "capped"
    assert found.environment == {"OPENBLAS_CORETYPE": "Haswell"}


def test_without_local_resources_this_machine_is_used(tmp_path):
    write_resources(tmp_path / "resources.toml", [Resource(id="cloud", site=Site.CLOUD)])
    assert [resource.id for resource in resources_of(tmp_path)] == ["local"]
