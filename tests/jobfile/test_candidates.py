"""Which resources meet a wish, and what is said when none does."""

import pytest

from dnaml.core.errors import InputError
from dnaml.core.resource import Kind, Resource, Site
from dnaml.jobfile.candidates import candidate_ids
from dnaml.jobfile.document import ResourceWishes

GIB = 2**30
HERE = Resource(id="here", memory_bytes=24 * GIB, spec={"cores": 8.0}, labels={"team": "a"})
SMALL = Resource(
    id="small",
    site=Site.CLOUD,
    memory_bytes=16 * GIB,
    spec={"cores": 4.0},
    labels={"provider": "aws", "region": "us-east-1", "use_spot": "true"},
)
LARGE = Resource(
    id="large",
    site=Site.CLOUD,
    memory_bytes=64 * GIB,
    spec={"cores": 16.0},
    labels={"provider": "gcp", "region": "us-central1"},
)
GPUS = Resource(
    id="gpus",
    kind=Kind.GPU,
    site=Site.ON_PREM,
    memory_bytes=80 * GIB,
    spec={"cores": 32.0, "accelerator_count": 8.0},
    labels={"accelerator": "A100-SXM"},
)
SILENT = Resource(id="silent", kind=Kind.GPU, description="NVIDIA T4")
POOL = (HERE, SMALL, LARGE, GPUS, SILENT)


@pytest.mark.parametrize(
    ("wishes", "ids"),
    [
        ({}, ()),
        ({"cpus": 4}, ("here", "small", "gpus")),  # exactly 4 where rented, 4 of those there are where owned
        ({"cpus": "4+"}, ("here", "small", "large", "gpus")),
        ({"memory": "16GB"}, ("here", "small", "gpus")),
        ({"memory": "64GB+"}, ("large", "gpus")),
        ({"accelerators": "A100:8"}, ("gpus",)),
        ({"accelerators": {"a100": 4}}, ("gpus",)),
        ({"accelerators": ["A100:8", "T4"]}, ("gpus", "silent")),
        ({"infra": "local"}, ("here", "silent")),
        ({"infra": "aws"}, ("small",)),
        ({"infra": "gcp/us-central1"}, ("large",)),
        ({"infra": "*/us-east-1"}, ("small",)),
        ({"infra": "on_prem"}, ("gpus",)),
        ({"use_spot": True}, ("small",)),
        ({"use_spot": False}, ("here", "large", "gpus", "silent")),
        ({"labels": {"team": "a"}}, ("here",)),
        ({"labels": {"team": "!a", "provider": "!gcp"}}, ("small", "gpus", "silent")),
        ({"cpus": "8+", "memory": "32+"}, ("large", "gpus")),
    ],
)
def test_only_resources_that_meet_every_wish_are_candidates(wishes, ids):
    assert candidate_ids(ResourceWishes(**wishes), POOL, source="job.yaml") == ids


@pytest.mark.parametrize(
    ("wishes", "says"),
    [
        (
            {"memory": "1TB+"},
            "job.yaml: resources.memory 1TB+: no known resource meets it; the largest is gpus with 80.0GB",
        ),
        ({"cpus": "64+"}, "job.yaml: resources.cpus 64+: no known resource meets it; the largest is gpus with 32"),
        ({"accelerators": "H100"}, "there is A100-SXM, silent"),
        ({"accelerators": "A100:16"}, "there is A100-SXM, silent"),
        ({"infra": "azure"}, "there is aws, gcp, local, on_prem"),
        ({"labels": {"team": "z"}}, "5 were looked at"),
    ],
)
def test_a_wish_that_nothing_meets_says_what_there_is(wishes, says):
    with pytest.raises(InputError) as caught:
        candidate_ids(ResourceWishes(**wishes), POOL, source="job.yaml")
    assert says in str(caught.value)


@pytest.mark.parametrize("wishes", [{"memory": "1+"}, {"cpus": 1}, {"infra": "aws"}, {"accelerators": "T4"}])
def test_an_empty_pool_meets_no_wish(wishes):
    with pytest.raises(InputError, match="no known resource meets it"):
        candidate_ids(ResourceWishes(**wishes), (), source="job.yaml")
