"""Touches the world: runs computations, measures them and keeps what makes them repeatable."""
