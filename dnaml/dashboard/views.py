"""The pages by their path below `/ui`, in the order of the navigation; each is one module with one `page`.

A page draws into the current NiceGUI container: `page(reads, caller)`, and parts of its path in braces as keywords.
"""

from collections.abc import Callable
from dataclasses import dataclass

from dnaml.dashboard import calibration, demand, dna_map, job, pool, queue, registry


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """One page: where it is, its name in the navigation ("" for none) and in its heading, and what draws it."""

    path: str
    name: str
    title: str
    about: str
    """one sentence under the heading"""
    draw: Callable[..., None]


VIEWS: tuple[View, ...] = (
    View(
        path="/",
        name="Pool",
        title="Pool",
        about="Where work can run, how busy it is, and the DNA by which it is compared.",
        draw=pool.page,
    ),
    View(
        path="/queue",
        name="Queue",
        title="Queue",
        about="Your jobs by state, and which of them ran where and when.",
        draw=queue.page,
    ),
    View(
        path="/map",
        name="DNA map",
        title="DNA map",
        about="Which resources are alike, and which work they suit.",
        draw=dna_map.page,
    ),
    View(
        path="/calibration",
        name="Calibration",
        title="Calibration and drift",
        about="Whether what was predicted then happened, and what is no longer what it was.",
        draw=calibration.page,
    ),
    View(
        path="/demand",
        name="Cost and demand",
        title="Cost and demand",
        about="What your work cost, what is asked for and expected, and what scaling makes of it.",
        draw=demand.page,
    ),
    View(
        path="/models",
        name="Models",
        title="Models",
        about="What was learned, how good it is beside simpler ways, and what predicts now.",
        draw=registry.page,
    ),
    View(
        path="/jobs/{job_id}",
        name="",
        title="Job",
        about="Why it went where it went, and what came of it.",
        draw=job.page,
    ),
)
