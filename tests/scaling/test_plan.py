"""A plan of scaling from TOML: what it takes, and what it refuses by name."""

from pathlib import Path

import pytest

from dnaml.core.errors import InputError
from dnaml.core.resource import Resource
from dnaml.execution.autoscaling import LABEL
from dnaml.scaling import Scaling, plan_of, read_scaling
from dnaml.scaling.plan import USUAL_LEAD_S

PLAN = """
bin_s = 30
most_machines = 8
most_usd = 20.0
tries = 2
probes = false

[machines.small]
price = "0.1"
slots = 2
startup = "3 s"

[machines.large]
price = "0.5"
slots = 8
"""


def test_a_plan_is_read_with_its_machines(tmp_path: Path):
    path = tmp_path / "scaling.toml"
    path.write_text(PLAN)
    plan = read_scaling(path)
    assert (plan.bin_s, plan.most_machines, plan.most_usd, plan.probes) == (30.0, 8, 20.0, False)
    assert plan.carrying.tries == 2
    small, large = plan.templates
    assert (small.name, small.price_usd_per_h, small.rate, small.lead_s) == ("small", 0.1, 2.0, 3.0)
    assert large.lead_s == USUAL_LEAD_S
    assert plan.labelled()["small"].labels == {LABEL: "small"}
    assert read_scaling(path, dry_run=True).dry_run
    assert plan_of(path) == plan_of(str(path)) == plan
    assert plan_of(None) is None


def test_machines_are_planned_for_a_share_of_their_time():
    plan = Scaling(machines=(Resource(id="small", slots=4),), use_share=0.75)
    assert plan.templates[0].rate == 3.0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "there is no machine to acquire"),
        ("speed = 1\n[machines.a]\n", "unknown key 'speed'"),
        ("machines = 3\n", "machines must be tables"),
        ("[machines.a]\ncolour = 1\n", "unknown key 'colour'"),
        ("bin_s = 0\n[machines.a]\n", "bin_s must be positive and finite, got 0.0"),
        ("use_share = 1.5\n[machines.a]\n", "use_share must be in (0, 1], got 1.5"),
        ("every_s = nan\n[machines.a]\n", "every_s must be positive"),
        ("most_usd = -1\n[machines.a]\n", "most_usd must not be negative, got -1.0"),
        ('most_usd = "much"\n[machines.a]\n', "most_usd must be a number, got 'much'"),
        ("most_machines = 2.5\n[machines.a]\n", "most_machines must be a whole number, got 2.5"),
        ("least_machines = 5\n[machines.a]\n", "0 <= least <= most, and most 1 at least, got 5, 4"),
        ("dry_run = 1\n[machines.a]\n", "dry_run must be true or false, got 1"),
        ("machines = [\n", "must be TOML"),
    ],
)
def test_what_cannot_be_kept_is_refused_by_name(tmp_path: Path, text: str, said: str):
    path = tmp_path / "scaling.toml"
    path.write_text(text)
    with pytest.raises(InputError) as error:
        read_scaling(path)
    assert said in str(error.value)
    assert str(path) in str(error.value)


def test_a_missing_file_and_machines_of_one_name_are_refused(tmp_path: Path):
    with pytest.raises(InputError, match="cannot be read"):
        read_scaling(tmp_path / "none.toml")
    with pytest.raises(InputError, match="different names"):
        Scaling(machines=(Resource(id="a"), Resource(id="a")))
