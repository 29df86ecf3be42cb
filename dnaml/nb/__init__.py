"""Helpers for notebooks: each reads a state folder, an executor, a run table, a predictor or simulated reports.

`compare`, `decisions` and `whatif` return a DataFrame; `dna_map`, `calibration` and `frontier` return matplotlib axes,
new ones or those given. Nothing is shown, printed or saved, and every axis says its unit.

>>> import dnaml
>>> with dnaml.Executor(state="temporary") as executor:
...     _ = executor.submit(pow, 2, 10).result()
...     len(dnaml.nb.decisions(executor))
1
"""

from dnaml.nb.alternatives import whatif
from dnaml.nb.calibrated import calibration
from dnaml.nb.comparison import compare
from dnaml.nb.decided import decisions
from dnaml.nb.frontiers import frontier
from dnaml.nb.maps import dna_map

__all__ = ["calibration", "compare", "decisions", "dna_map", "frontier", "whatif"]
