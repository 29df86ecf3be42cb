"""Whether the order of the vectors is the order of the predictions, and what is lost by ranking in two stages."""

from benchmarks.report import Op, Row

WHY = "this version has no learned vectors"


def rows(*, quick: bool) -> list[Row]:
    """Return the rows of ranking."""
    del quick
    return [
        Row(
            id="ranking.spearman",
            metric="order by learned cosine beside the full predictor's, within computations: Spearman",
            value=None,
            unit="",
            op=Op.AT_LEAST,
            bar=0.95,
            note=WHY,
        ),
        Row(
            id="ranking.regret",
            metric="top-1 regret of ranking in two stages beside full scoring",
            value=None,
            unit="%",
            bar=1.0,
            note=WHY,
        ),
    ]
