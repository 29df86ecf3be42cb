"""Draws real decisions of this machine as a picture: `python -m docs.examples.decision FILE.svg`."""
# ruff: noqa: T201

import hashlib
import sys
from collections import Counter
from dataclasses import replace

import matplotlib
import numpy as np
import pandas as pd

import dnaml
from dnaml.demo.pool import local_pool

PRICE_USD_PER_H = {"tensor": 0.40, "vector": 0.34, "scalar": 0.30, "matrix": 0.26, "classic": 0.22}  # made up


@dnaml.computation
def spectrum(size):
    """Return the sum of a Fourier transform's magnitudes."""
    return float(np.abs(np.fft.rfft2(np.ones((size, size)))).sum())


@dnaml.computation
def digest(size):
    """Return the SHA-256 of so many zero bytes."""
    return hashlib.sha256(bytes(size)).hexdigest()


@dnaml.computation
def words(size):
    """Return the commonest of so many words."""
    return Counter(str(n % 997) for n in range(size)).most_common(1)


def main(path: str) -> None:
    """Run three kinds of work on five local resources until dnaml knows them, then draw the last decision of each."""
    pool = [replace(one, price_usd_per_h=PRICE_USD_PER_H[one.id]) for one in local_pool()]
    work = {spectrum: 1500, digest: 100_000_000, words: 600_000}
    with dnaml.Executor(pool, objective="balanced", state="temporary") as executor:
        for _ in range(12):
            for future in [executor.submit(one, size) for one, size in work.items()]:
                future.result()
        last = {one.__name__: executor.submit(one, size) for one, size in work.items()}
        for future in last.values():
            future.result()
        draw({name: future.decision.explain() for name, future in last.items()}, path)


def draw(tables: dict[str, pd.DataFrame], path: str) -> None:
    """Write one panel a decision: p10 to p90 of each candidate's runtime, its median, its cost, and what was chosen."""
    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "dnaml", "font.family": "sans-serif"})
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(1, len(tables), figsize=(10, 2.6), layout="constrained")
    for axes, (name, table) in zip(panels, tables.items(), strict=True):
        low, middle, high = (1e3 * table[f"runtime_{level}_s"] for level in ("p10", "p50", "p90"))
        colours = table["chosen"].map({True: "tab:blue", False: "0.6"})
        axes.hlines(table.index, low, high, lw=6, colors=colours, alpha=0.5, capstyle="round")
        axes.scatter(middle, table.index, c=colours, zorder=3)
        for row, cost_usd in table["cost_usd"].items():
            axes.annotate(f"{1e6 * cost_usd:.1f} µ$", (high[row], row), (8, -3), textcoords="offset points")
        axes.set(title=name, xlabel="predicted runtime, ms", xlim=(0, 1.35 * high.max()))
        axes.set_yticks(table.index, table["resource_id"])
        axes.spines[["top", "right"]].set_visible(False)
        axes.invert_yaxis()
    figure.savefig(path, metadata={"Date": None})
    print(f"{path}: decisions on {', '.join(tables)}")


if __name__ == "__main__":
    main(sys.argv[1])
