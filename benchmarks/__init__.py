"""One runnable module per claim: `python -m benchmarks.NAME [--quick] [--json]`, all in the form of `report`."""
