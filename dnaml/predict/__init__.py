"""From runs to distributions of runtime and cost: baselines, their choice, calibration, and what the scheduler asks."""
