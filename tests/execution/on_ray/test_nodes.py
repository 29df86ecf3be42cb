"""What Ray says of a node becomes resources with features that constraints and predictions can use."""

from dnaml.core.resource import Kind, Site
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
