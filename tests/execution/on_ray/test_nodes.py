"""What Ray says of a node becomes resources with features that constraints and predictions can use."""

from dnaml.core.resource import Kind, Resource, Site, UnitType
from dnaml.execution.on_ray import nodes

LABELS = {
    "ray.io/node-id": "f" * 56,
    "ray.io/accelerator-type": "H100",
    "price-usd-per-h": "2.5",
    "tier": "cloud",
    "dnaml-id": "big",
}
AMOUNTS = {"CPU": 8.0, "memory": 4e9, "GPU": 2.0, "disk_fast": 1.0, "node:10.0.0.1": 1.0, "object_store_memory": 1e9}


def test_a_node_is_named_by_its_label_or_by_its_host_and_ray_id():
    node = {"Labels": {}, "NodeManagerHostname": "host", "NodeID": "0123456789abcdef"}
    assert nodes.resource_id_of(node) == "host-01234567"
    assert nodes.resource_id_of({**node, "Labels": LABELS}) == "big"


def test_labels_custom_resources_and_accelerator_types_are_features():
    cores, gpu = nodes.declared("big", "host", LABELS, AMOUNTS)
    assert (cores.id, cores.kind, cores.slots, cores.memory_bytes) == ("big", Kind.CPU, 8, 4_000_000_000)
    assert (cores.site, cores.price_usd_per_h) == (Site.ON_PREM, 2.5)
    assert cores.labels["tier"] == "cloud"
    assert cores.labels["accelerator"] == "H100"
    assert cores.labels["disk_fast"] == "1"
    assert cores.spec == {"ray_disk_fast": 1.0}
    assert "dnaml-id" not in cores.labels
    assert (gpu.id, gpu.kind, gpu.slots, gpu.domain) == ("big:gpu", Kind.GPU, 2, cores.domain)


def test_a_price_that_is_no_number_prices_nothing():
    (cores,) = nodes.declared("n", "host", {"price-usd-per-h": "cheap"}, {"CPU": 1.0})
    assert cores.price_usd_per_h is None


def test_a_machine_adds_what_it_tells_of_itself_without_a_probe():
    (cores,) = nodes.on_this_machine(nodes.declared("n", "host", {}, {"CPU": 3.0, "memory": 1e9}))
    assert (cores.slots, cores.memory_bytes, cores.spec["cores"]) == (3, 1_000_000_000, 3.0)
    assert cores.unit_type is not None


def test_an_accelerator_of_another_make_is_an_asic_and_keeps_its_declaration():
    found = nodes.on_this_machine(nodes.declared("n", "host", {}, {"CPU": 1.0, "TPU": 4.0}))
    assert [(each.id, each.kind, each.slots) for each in found[1:]] == [("n:tpu", Kind.ASIC, 4)]


def test_a_head_that_only_manages_takes_no_work():
    assert not nodes.takes_work({"memory": 1e9, "node:10.0.0.1": 1.0})
    assert nodes.takes_work({"CPU": 1.0})
    assert nodes.takes_work({"GPU": 1.0})


TOLD = Resource(
    id="n1",
    site=Site.ON_PREM,
    domain="host/n1",
    unit_type=UnitType.AVX512,
    memory_bytes=8 << 30,
    price_usd_per_h=3.0,
    spec={"fp64_flop_per_s": 2e9, "cores": 4.0},
    labels={"rack": "7"},
    description="Ray node host",
)


def test_what_the_user_states_counts_and_the_node_tells_the_rest():
    stated = Resource(id="n1", slots=2, price_usd_per_h=1.0, labels={"bought": "yes"}, spec={"cores": 2.0})
    found = nodes.described(stated, TOLD)
    assert (found.slots, found.price_usd_per_h, found.memory_bytes) == (2, 1.0, 8 << 30)
    assert (found.site, found.domain, found.unit_type) == (Site.ON_PREM, "host/n1", UnitType.AVX512)
    assert found.spec == {"fp64_flop_per_s": 2e9, "cores": 2.0}
    assert found.labels == {"rack": "7", "bought": "yes"}
    elsewhere = nodes.described(Resource(id="n1", site=Site.CLOUD, domain="zone-a"), TOLD)
    assert (elsewhere.site, elsewhere.domain) == (Site.CLOUD, "zone-a")


def test_a_node_that_is_held_back_is_not_what_it_measured_of_itself():
    found = nodes.described(Resource(id="n1", environment={"OPENBLAS_CORETYPE": "Haswell"}), TOLD)
    assert (found.unit_type, dict(found.spec)) == (None, {})
    assert (found.domain, found.memory_bytes) == ("host/n1", 8 << 30)
