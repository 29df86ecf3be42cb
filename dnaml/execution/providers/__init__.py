"""Providers of machines: what carries out `Acquire` and `Release`, within a cap on what is spent."""
