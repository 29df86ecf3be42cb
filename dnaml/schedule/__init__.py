"""Decides what runs where: pure functions of plain values, which see the core and nothing else."""
