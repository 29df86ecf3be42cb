"""Axes to draw on: those that the caller gives, else new ones that a notebook shows at the end of its cell."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def canvas(given: "Axes | None", *, across: str, up: str, title: str = "") -> "Axes":
    """Return labelled axes without the upper and right frame."""
    axes = given
    if axes is None:
        from matplotlib import pyplot

        _, axes = pyplot.subplots(figsize=(6, 4.4), layout="constrained")
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    axes.spines[["top", "right"]].set_visible(False)
    if title:
        axes.set_title(title)
    return axes
