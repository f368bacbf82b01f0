"""The style of figures: light, colour-blind safe, readable at the width of a README."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from typing import Any

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""The palette of Okabe and Ito."""
WIDTH, DPI = 8.0, 200

_STYLE: dict[str, Any] = {
    "figure.facecolor": "white",
    "axes.facecolor": "white",
    "axes.edgecolor": "#888888",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 10,
    "grid.color": "#E6E6E6",
    "grid.linewidth": 0.8,
    "font.size": 10,
    "legend.frameon": False,
    "legend.fontsize": 10,
    "lines.linewidth": 1.8,
    "lines.markersize": 5.5,
    "xtick.color": "#444444",
    "ytick.color": "#444444",
}


@contextlib.contextmanager
def house_style() -> Iterator[None]:
    """Figures made and saved inside look alike; the engine draws every figure inside of it."""
    import matplotlib
    from cycler import cycler

    style: Any = {**matplotlib.rcParamsDefault, **_STYLE, "axes.prop_cycle": cycler(color=COLOURS)}
    with matplotlib.rc_context(style):
        yield


def canvas(columns: int = 1, rows: int = 1, *, height: float = 3.2, sharey: bool = False) -> tuple[Any, list[Any]]:
    """A figure of the common width and its panels, row by row; nothing global is touched (no pyplot)."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, height * rows), layout="constrained")
    return figure, list(figure.subplots(rows, columns, squeeze=False, sharey=sharey).flat)


def _label_plainly(axis: Any) -> None:
    """A logarithmic axis of less than two decades gets 20 and 50 where matplotlib writes 2 x 10^1."""
    from matplotlib.ticker import LogFormatter

    low, high = sorted(axis.get_view_interval())
    if not isinstance(axis.get_major_formatter(), LogFormatter) or low < 1e-3 or high > 1e5 or high >= 100 * low:
        return
    digits = (2, 3, 4, 6) if high < 10 * low else (2, 5)
    every = high < 3 * low  # few ticks, of any digit
    axis.set_major_formatter(lambda value, _: f"{value:g}")
    axis.set_minor_formatter(lambda value, _: f"{value:g}" if every or int(f"{value:e}"[0]) in digits else "")


def png(figure: Any) -> bytes:
    """The figure as PNG; equal figures give equal bytes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    for panel in figure.axes:
        for axis in (panel.xaxis, panel.yaxis):
            _label_plainly(axis)
    buffer = io.BytesIO()
    FigureCanvasAgg(figure)
    figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
    return buffer.getvalue()
