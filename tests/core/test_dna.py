"""DNA vectors: one length and type for both sides."""

import numpy as np
import pytest

from dnaml.core.dna import DNA_LENGTH, RAW_SLOTS, ComputationDNA, ResourceDNA
from dnaml.core.errors import InputError

BOTH_SIDES = pytest.mark.parametrize("side", [ResourceDNA, ComputationDNA])


@BOTH_SIDES
def test_a_vector_of_the_right_length_and_type_is_kept(side):
    vector = np.full(DNA_LENGTH, np.nan, dtype=np.float32)
    dna = side(owner_id="cpu0", vector=vector, version="1")
    assert dna.vector is vector
    assert (dna.runs, dna.at_s) == (0, 0.0)


@BOTH_SIDES
@pytest.mark.parametrize(
    ("vector", "said"),
    [
        (np.zeros(DNA_LENGTH - 1, dtype=np.float32), r"float32 \(31,\)"),
        (np.zeros((1, DNA_LENGTH), dtype=np.float32), r"float32 \(1, 32\)"),
        (np.zeros(DNA_LENGTH, dtype=np.float64), r"float64 \(32,\)"),
    ],
)
def test_another_shape_or_type_is_refused_by_name(side, vector, said):
    with pytest.raises(InputError, match=rf"cpu0: DNA must be float32 of shape \(32,\), got {said}"):
        side(owner_id="cpu0", vector=vector, version="1")


def test_the_interpretable_slots_are_the_first_half():
    assert DNA_LENGTH == 32
    assert RAW_SLOTS == 16
