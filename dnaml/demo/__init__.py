"""The main job shown on one machine: resources that really differ, kernels that suffer from it differently, and what
dnaml makes of them beside simple policies."""
