"""The reference machine: rates that scores and traits are told in."""

from dnaml.core.reference import CORE_RATES, DISK, RATES
from dnaml.core.types import Resource
from dnaml.predict.bound import traits
from dnaml.telemetry.profile import probe_score


def test_scores_and_traits_speak_of_the_same_machine():
    assert probe_score(Resource(id="reference", spec=dict(RATES))) == 1.0
    assert set(traits(dict(CORE_RATES))) == {0.0}
    assert {name for name in RATES if name not in CORE_RATES} == {DISK}
