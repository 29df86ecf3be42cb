"""Reads the machine: what resources are, how fast and how busy they are, and what each attempt uses."""
