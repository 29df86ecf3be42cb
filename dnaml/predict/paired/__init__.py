"""The learned model: one row of runtimes per entity over items, predicted from its description and a few probes.

Everything is said once for an *entity* (the side that is new) against *items* (the other side); a resource is an
entity over computations, and a computation is one over resources. `direction.py` joins the parts of one such view.
"""
