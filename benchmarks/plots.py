"""The pictures of docs/size.md, drawn from growth.csv: small files of lines and words, the same for the same figures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.growth import Point

_STYLE: Final = {
    "svg.fonttype": "none",  # words stay words
    "svg.hashsalt": "migrate",
    "font.family": "sans-serif",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
}
_NAMES: Final = {"first": "the first run", "ordinary": "an ordinary day", "queued": "planned, composed, queued", "delivered": "delivered"}


def _lines(axes: Any, points: Sequence[Point], measure: str) -> None:
    for what in dict.fromkeys(each.what for each in points):
        drawn = [each for each in points if each.what == what]
        axes.plot([each.at for each in drawn], [getattr(each, measure) for each in drawn], marker="o", label=_NAMES.get(what, what))
    axes.legend(frameon=False)
    axes.set_ylim(bottom=0)


def draw(points: Sequence[Point], folder: Path) -> None:
    """Writes accounts.svg, memory.svg, changed.svg and letters.svg, each if its series was measured."""
    import matplotlib as mpl
    from matplotlib.figure import Figure
    from matplotlib.ticker import StrMethodFormatter

    for name, series, measure, across, up in (
        ("accounts", "accounts", "seconds", "accounts", "seconds"),
        ("memory", "accounts", "peak", "accounts", "MiB at most"),
        ("changed", "changed", "seconds", "accounts changed since yesterday (%)", "seconds"),
        ("letters", "letters", "seconds", "letters", "seconds"),
    ):
        measured = [each for each in points if each.series == series]
        if not measured:
            continue
        with mpl.rc_context(_STYLE):
            figure = Figure(figsize=(6, 3.2), layout="constrained")
            axes = figure.subplots()
            _lines(axes, measured, measure)
            axes.set_xlabel(across)
            axes.set_ylabel(up)
            axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
            figure.savefig(folder / f"{name}.svg", metadata={"Date": None, "Creator": None})
