"""The real controller, engine loop and journal on a virtual clock, with every fault drawn from one seed."""
