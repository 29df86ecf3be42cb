"""The index of the core names everything it imports, and core values compare and freeze as values do."""

import dataclasses

import pytest

from dnaml.core import events, types
from dnaml.core.plan import Plan, Problem
from dnaml.core.protocols import Run


def test_the_index_lists_every_public_value_that_it_holds():
    held = {name for name in vars(types) if not name.startswith("_")}
    assert held == set(types.__all__)


def test_core_values_are_frozen():
    values = [getattr(types, name) for name in types.__all__]
    values += [Plan, Problem, Run, *events.Event.__args__, *events.Command.__args__]
    for value in values:
        if dataclasses.is_dataclass(value):
            assert value.__dataclass_params__.frozen, value


def test_an_event_cannot_be_changed_and_equals_its_copy():
    tick = events.Tick(at_s=1.0)
    with pytest.raises(dataclasses.FrozenInstanceError):
        tick.at_s = 2.0
    assert tick == events.Tick(at_s=1.0)
