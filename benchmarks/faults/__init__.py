"""Real faults done to real processes, disks and clocks; one module a fault, each with `ID`, `RUNS` and `measure`.

`python -m benchmarks.faults [--tier quick|soak] [--only ID] [--json]`; the tests in tests/faults call the same
`measure` with few runs.
"""
