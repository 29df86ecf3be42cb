"""Rows as the component of the page takes them."""

import doctest

from dnaml.dashboard import tables
from dnaml.dashboard.tables import Cell, Row, told


def test_the_examples_of_the_module_hold():
    assert doctest.testmod(tables).failed == 0


def test_what_is_not_set_is_not_sent():
    row = Row(key="a", cells=(Cell(text="x"), Cell(at_s=1.5), Cell(text="y", share=0.0, note="n")))
    assert told([row]) == [
        {"key": "a", "strong": False, "cells": [{"text": "x"}, {"at_s": 1.5}, {"text": "y", "note": "n", "share": 0.0}]}
    ]


def test_a_link_stays_on_the_pages_of_jobs_whatever_the_id():
    assert tables.job_link("//evil.example/x") == "/ui/jobs/%2F%2Fevil.example%2Fx"
