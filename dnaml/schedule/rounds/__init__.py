"""Policies over running gangs: at each round every job may start, stop, move or change its gang.

A policy here sees a `Round` of arrays and answers an `Allocation`; `as_policy` makes any of them a `Policy` of the
engine. What places single computations for good is in `schedule/policies` and `schedule/matching`.
"""
