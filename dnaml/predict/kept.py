"""The raw rows of a young predictor, kept so that it can be fitted anew when they have grown; plain columns, so that
they can be stored with it.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pandas as pd

MISSING = "\x1fmissing"  # stands in a column of text for what nobody said


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Kept:
    """Rows by column: `numbers` and `flags` as they are, `texts` with a mark where a value is missing."""

    rows: int
    numbers: dict[str, npt.NDArray[np.float64]]
    flags: dict[str, npt.NDArray[np.bool_]]
    texts: dict[str, npt.NDArray[np.str_]]

    @classmethod
    def of(cls, frame: "pd.DataFrame") -> "Kept":
        """Return the rows of a run table."""
        numbers, flags, texts = {}, {}, {}
        for name in map(str, frame.columns):
            column = frame[name]
            if column.dtype.kind == "b":
                flags[name] = column.to_numpy(dtype=np.bool_)
            elif column.dtype.kind in "fiu":
                numbers[name] = column.to_numpy(dtype=np.float64)
            else:
                known = column.astype(object).where(column.notna(), MISSING)
                texts[name] = np.asarray(known.astype(str).to_numpy(dtype=object), dtype=np.str_)
        return cls(rows=len(frame), numbers=numbers, flags=flags, texts=texts)

    def frame(self) -> "pd.DataFrame":
        """Return the rows as a frame again; what was missing is missing."""
        import pandas as pd

        texts = {name: pd.Series(values, dtype=object) for name, values in self.texts.items()}
        told = {name: column.where(column != MISSING, None) for name, column in texts.items()}
        return pd.DataFrame({**self.numbers, **self.flags, **told}, index=range(self.rows))

    def joined(self, frame: "pd.DataFrame") -> "Kept":
        """Return these rows followed by those of a frame."""
        import pandas as pd

        return Kept.of(pd.concat([self.frame(), frame], ignore_index=True))
