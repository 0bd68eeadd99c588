"""Plots, drawn with matplotlib and written to a file; no window is opened."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neml2_aoti_plugin.cli.outcome import UsageError
from neml2_aoti_plugin.cli.saving import check_writable

if TYPE_CHECKING:
    import torch

ROWS_SHOWN = 10

_STYLE = {
    "figure.dpi": 150,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "font.size": 10,
    "lines.linewidth": 1.6,
    "legend.frameon": False,
    "legend.fontsize": "small",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Curves:
    """One panel: ``(steps, rows)`` over ``(steps, rows)``, a line per row."""

    x_label: str
    y_label: str
    x: torch.Tensor
    y: torch.Tensor


def check_drawable(file: Path | None) -> None:
    """Raise UsageError where nothing could be drawn, or not into that file."""
    if file is None:
        return
    check_writable(file)
    if importlib.util.find_spec("matplotlib") is None:
        raise UsageError(
            "plots need the package 'matplotlib': pip install 'neml2-aoti-plugin[cli]'"
        )
    from matplotlib.backend_bases import FigureCanvasBase

    known = sorted(FigureCanvasBase.get_supported_filetypes())
    if file.suffix.lstrip(".") not in known:
        raise UsageError(f"{file}: no plot ends so; expected one of {', '.join(known)}.")


def draw_curves(panels: Sequence[Curves], title: str, file: Path) -> None:
    """One panel beside the other, a line per row, the first rows only where there are many."""
    with _figure(len(panels)) as (figure, axes):
        for panel, curves in zip(axes, panels, strict=True):
            _draw_rows(panel, curves)
        figure.suptitle(title, x=0.02, ha="left", fontsize="medium", fontweight="bold")
        figure.savefig(file)


def draw_scaling(
    rows: Sequence[int], series: Mapping[str, Sequence[float]], title: str, file: Path
) -> None:
    """Microseconds per row over the number of rows, both logarithmic."""
    with _figure(1) as (figure, axes):
        for label, seconds in series.items():
            axes[0].loglog(rows, [1e6 * each for each in seconds], "o-", label=label)
        for axis in (axes[0].xaxis, axes[0].yaxis):
            axis.set_major_formatter(_plain)
            axis.set_minor_formatter(_plain_of_some)
        axes[0].set_xlabel("rows in one call")
        axes[0].set_ylabel("time per row (µs)")
        if len(series) > 1:
            axes[0].legend()
        figure.suptitle(title, x=0.02, ha="left", fontsize="medium", fontweight="bold")
        figure.savefig(file)


@contextmanager
def _figure(count: int) -> Iterator[tuple[Any, list[Any]]]:
    """A figure with ``count`` panels side by side, in our style while it is drawn."""
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    style: Any = _STYLE
    with mpl.rc_context(style):
        figure = Figure(figsize=(5.4 * count, 4.0), layout="constrained")
        FigureCanvasAgg(figure)
        yield figure, [figure.add_subplot(1, count, index + 1) for index in range(count)]


def _plain(value: float, _: int | None = None) -> str:
    return f"{value:g}"


def _plain_of_some(value: float, _: int | None = None) -> str:
    """Between powers of ten, 2 and 5 are enough."""
    return f"{value:g}" if f"{value:e}"[0] in "25" else ""


def _draw_rows(panel: Any, curves: Curves) -> None:
    count = max(curves.x.shape[1], curves.y.shape[1])
    steps = curves.x.shape[0]
    x, y = curves.x.expand(steps, count), curves.y.expand(steps, count)
    shown = min(count, ROWS_SHOWN)
    marker = "o" if steps <= 30 else None
    for row in range(shown):
        panel.plot(x[:, row], y[:, row], marker=marker, markersize=3, label=f"row {row}")
    panel.locator_params(nbins=6)
    panel.set_xlabel(curves.x_label)
    panel.set_ylabel(curves.y_label)
    if count > 1:
        more = f"first {shown} of {count} rows" if shown < count else None
        panel.legend(title=more, title_fontsize="small")
