"""Plots of the results; each is left out where there is nothing to draw."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from suite.results import Result

Series = dict[str, list[Result]]


def draw(results: Sequence[Result], folder: Path) -> list[Path]:
    """Write all plots as PNG and return their paths."""
    import matplotlib as mpl

    mpl.use("Agg")
    plots: dict[str, Callable[[Sequence[Result], Any], bool]] = {
        "time_per_row": _time_per_row,
        "gain": _gain,
        "memory": _memory,
        "unknowns": _unknowns,
    }
    return [
        path
        for name, plot in plots.items()
        if (path := _written(plot, results, folder / f"{name}.png")) is not None
    ]


def _written(
    plot: Callable[[Sequence[Result], Any], bool], results: Sequence[Result], path: Path
) -> Path | None:
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(8, 5.5), layout="constrained")
    has_content = plot(results, axes)
    if has_content:
        axes.grid(alpha=0.3, which="both")
        axes.legend(fontsize="small")
        figure.savefig(path, dpi=150)
    plt.close(figure)
    return path if has_content else None


def _time_per_row(results: Sequence[Result], axes: Any) -> bool:
    """Time per row over the batch size, both runtimes, all rows hard."""
    _both_over_rows(_by_model(results, "forward", "hom"), axes)
    axes.set_xlabel("rows")
    axes.set_ylabel("time per row (us)")
    axes.set_title("forward, every row hard: ours (lines) and neml2 (dots)")
    return axes.has_data()


def _gain(results: Sequence[Result], axes: Any) -> bool:
    """Gain over the batch size, by loading."""
    loadings = dict.fromkeys(r.loading for r in results if r.operation == "forward")
    styles = dict(zip(loadings, ("-", "--", ":"), strict=False))
    models = list(dict.fromkeys(result.model for result in results))
    for loading, style in styles.items():
        for model, line in _by_model(results, "forward", loading).items():
            axes.loglog(
                [result.rows for result in line],
                [result.gain for result in line],
                linestyle=style,
                marker="o",
                markersize=3,
                color=f"C{models.index(model)}",
                label=f"{model}, {loading}",
            )
    axes.axhline(1.0, color="black", linewidth=0.8)
    axes.set_xlabel("rows")
    axes.set_ylabel("time of neml2 / our time")
    axes.set_title("forward")
    return bool(styles)


def _memory(results: Sequence[Result], axes: Any) -> bool:
    """Growth of the peak over the batch size."""
    _both_over_rows(_by_model(results, "memory", "hom"), axes)
    axes.set_xlabel("rows")
    axes.set_ylabel("growth of the peak per row (KiB)")
    axes.set_title("memory of a forward call: ours (lines) and neml2 (dots)")
    return axes.has_data()


def _unknowns(results: Sequence[Result], axes: Any) -> bool:
    """Time per row over the number of unknowns, at the largest batch that all models have."""
    lines = _by_model(results, "forward", "hom")
    shared = [{result.rows for result in line} for line in lines.values() if line[0].unknowns]
    common = set.intersection(*shared) if shared else set()
    if not common:
        return False
    rows = max(common)
    points = sorted(
        (result for line in lines.values() for result in line if result.rows == rows),
        key=lambda result: result.unknowns,
    )
    points = [result for result in points if result.unknowns]
    unknowns = [result.unknowns for result in points]
    axes.loglog(unknowns, [result.ours for result in points], "o", label="ours")
    axes.loglog(unknowns, [result.reference for result in points], "x", label="neml2")
    for result in points:
        axes.annotate(result.model, (result.unknowns, result.ours), fontsize="x-small")
    axes.set_xlabel("unknowns per row")
    axes.set_ylabel("time per row (us)")
    axes.set_title(f"forward, {rows} rows, every row hard")
    return True


def _both_over_rows(series: Series, axes: Any) -> None:
    """Our figure as a line and that of the reference as dots, in one colour per model."""
    for colour, (model, line) in enumerate(series.items()):
        rows = [result.rows for result in line]
        style = {"color": f"C{colour}", "marker": "o", "markersize": 3}
        axes.loglog(rows, [result.ours for result in line], label=model, **style)
        axes.loglog(rows, [result.reference for result in line], linestyle=":", **style)


def _by_model(results: Sequence[Result], operation: str, loading: str) -> Series:
    """The results of one kind, by model, in the order of rows."""
    series: Series = {}
    for result in sorted(results, key=lambda result: result.rows):
        if (result.operation, result.loading) == (operation, loading):
            series.setdefault(result.model, []).append(result)
    return series
