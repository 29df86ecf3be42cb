"""The schema and the classes say the same: same keys, same verdict on every example."""

from dataclasses import fields

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnaml.core.errors import InputError
from dnaml.jobfile import JobFile, schema
from dnaml.jobfile.document import SECTIONS

GOOD = [
    {"run": "python train.py"},
    {"run": ["python", "train.py", "--epochs", "3"]},
    {"computation": "json:dumps", "args": [[1, 2]]},
    {"computation": "pkg.mod:Class.method", "args": {"trees": 200}},
    {"run": "x", "name": "Größe 2", "workdir": "sub", "inputs": ["a.csv"], "outputs": ["b/"]},
    {"run": "x", "envs": {"A": "1", "B": None}, "secrets": {"TOKEN": None}},
    {"run": "x", "resources": {"cpus": "4+", "memory": "16GB", "accelerators": "A100:8"}},
    {"run": "x", "resources": {"cpus": 0.5, "memory": 16, "accelerators": {"A100": 8}, "infra": "aws/us-east-1"}},
    {"run": "x", "resources": {"accelerators": ["A100:1", "T4"], "use_spot": True, "labels": {"team": "a"}}},
    {"run": "x", "objective": "min_cost"},
    {"run": "x", "objective": {"cost": 0.5, "latency": 0.5}},
    {"run": "x", "constraints": {"deadline": "2h", "max_cost": 3, "max_hourly_cost": 0.5}},
    {"run": "x", "constraints": {"deadline": 90.5}},
    {"run": "x", "resilience": {"replicas": 2, "checkpoint": {"interval": "60s"}, "max_restarts": 3}},
    {"run": "x", "resilience": {"checkpoint": False, "job_recovery": "FAILOVER"}},
    {"run": "x", "resilience": {"job_recovery": {"strategy": "EAGER_NEXT_REGION", "max_restarts_on_errors": 2}}},
    {"run": "x", "split": {"max_parts": 4}},
    {"run": "x", "inputs": None, "resources": None, "resilience": {"checkpoint": None}},
]
BAD = [
    {},
    {"name": "no work"},
    {"run": "x", "computation": "json:dumps"},
    {"run": "x", "args": [1]},
    {"run": ""},
    {"run": []},
    {"run": ["a", 3]},
    {"run": 3},
    {"computation": "json.dumps"},
    {"computation": "json:"},
    {"computation": "json:dumps", "args": "text"},
    {"run": "x", "name": "  "},
    {"run": "x", "inputs": "a.csv"},
    {"run": "x", "envs": {"A=B": "1"}},
    {"run": "x", "envs": {"A": 1}},
    {"run": "x", "resorces": {}},
    {"run": "x", "resources": {"cpu": 4}},
    {"run": "x", "resources": {"cpus": "four"}},
    {"run": "x", "resources": {"cpus": True}},
    {"run": "x", "resources": {"memory": "16XB"}},
    {"run": "x", "resources": {"accelerators": "A100:0"}},
    {"run": "x", "resources": {"accelerators": {"A100": 0}}},
    {"run": "x", "resources": {"infra": "/"}},
    {"run": "x", "resources": {"use_spot": "yes"}},
    {"run": "x", "resources": {"labels": {"a": 1}}},
    {"run": "x", "resources": []},
    {"run": "x", "objective": "fastest"},
    {"run": "x", "objective": {"speed": 1}},
    {"run": "x", "objective": {"cost": -1}},
    {"run": "x", "objective": {}},
    {"run": "x", "constraints": {"deadline": "soon"}},
    {"run": "x", "constraints": {"max_cost": 0}},
    {"run": "x", "constraints": {"max_cost": "3"}},
    {"run": "x", "resilience": {"replicas": 0}},
    {"run": "x", "resilience": {"replicas": "two"}},
    {"run": "x", "resilience": {"max_restarts": -1}},
    {"run": "x", "resilience": {"checkpoint": {"interval": "x"}}},
    {"run": "x", "resilience": {"checkpoint": {"every": "60s"}}},
    {"run": "x", "resilience": {"job_recovery": "RESTART"}},
    {"run": "x", "resilience": {"job_recovery": {"max_restarts_on_errors": -1}}},
    {"run": "x", "split": {"max_parts": 0}},
    {"run": "x", "split": 4},
]
VALIDATOR = jsonschema.Draft202012Validator(schema())


def accepted(document: object) -> bool:
    try:
        JobFile.of(document).argv  # noqa: B018 - the command is split when it is asked for
    except InputError:
        return False
    return True


def test_the_schema_is_a_valid_schema():
    jsonschema.Draft202012Validator.check_schema(schema())


@pytest.mark.parametrize("document", GOOD, ids=str)
def test_a_good_document_is_accepted_by_class_and_schema(document):
    VALIDATOR.validate(document)
    assert JobFile.of(document).document


@pytest.mark.parametrize("document", BAD, ids=str)
def test_a_bad_document_is_refused_by_class_and_schema(document):
    assert not VALIDATOR.is_valid(document)
    assert not accepted(document)


def test_schema_and_classes_have_the_same_keys_everywhere():
    for section, kind in SECTIONS.items():
        node = schema()
        for step in section.split(".") if section else ():
            node = node["properties"][step]
            node = next((one for one in node.get("oneOf", ()) if one.get("type") == "object"), node)
        assert set(node["properties"]) == {one.name for one in fields(kind)}, section
        assert node["additionalProperties"] is False, section


def test_every_key_of_the_top_level_is_described():
    assert [key for key, node in schema()["properties"].items() if "description" not in node] == []


AMOUNTS = st.one_of(
    st.integers(-2, 99), st.from_regex(r"[0-9]{1,3}[+GMx]{0,2}B?\+?", fullmatch=True), st.booleans(), st.none()
)
DURATIONS = st.one_of(st.integers(-2, 99), st.from_regex(r"[0-9]{1,2}[smhdwx]?([0-9][smh])?", fullmatch=True))


@given(cpus=AMOUNTS, memory=AMOUNTS, deadline=DURATIONS, replicas=st.one_of(st.integers(-1, 3), st.booleans()))
def test_class_and_schema_agree_on_drawn_documents(cpus, memory, deadline, replicas):
    document = {
        "run": "x",
        "resources": {"cpus": cpus, "memory": memory},
        "constraints": {"deadline": deadline},
        "resilience": {"replicas": replicas},
    }
    assert VALIDATOR.is_valid(document) == accepted(document)
