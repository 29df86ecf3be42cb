"""The shared space of resources and computations: features, the interpretable slots, and matching by them."""
