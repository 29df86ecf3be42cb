"""Past one machine: placement rate, unlike nodes, dead and frozen ones, and a crowd of simulated ones.

`python -m benchmarks.ray [--quick] [--json]`.
"""
