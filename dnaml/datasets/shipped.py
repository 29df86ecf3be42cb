"""What comes with dnaml beside its code: one trained model, and the telemetry that it learned from."""

import sysconfig
from pathlib import Path

from dnaml.core.errors import NotFoundError
from dnaml.datasets.catalog import shipped_folder

MODEL = "dnaml-small"
TELEMETRY = "telemetry"


def model_folder(name: str = MODEL) -> Path:
    """Return the folder of a shipped model: in the checkout, or where a wheel put it; NotFoundError if in neither."""
    candidates = (
        Path(__file__).resolve().parents[2] / "models" / name,
        Path(sysconfig.get_path("data")) / "share" / "dnaml" / "models" / name,
    )
    for folder in candidates:
        if (folder / "manifest.json").is_file():
            return folder
    raise NotFoundError(f"no shipped model {name!r}; looked for {' and '.join(map(str, candidates))}")


def telemetry_table() -> Path:
    """Return the Parquet file of the shipped run table; NotFoundError if it is not installed."""
    file = shipped_folder(TELEMETRY) / "runs.parquet"
    if not file.is_file():
        raise NotFoundError(f"shipped telemetry is not installed; looked for {file}")
    return file
