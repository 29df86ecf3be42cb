"""What the service is worth under load, under attack and at its start; `python -m benchmarks.api [--quick]`."""
