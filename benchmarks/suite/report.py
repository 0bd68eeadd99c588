"""Results as a Markdown table, which is also what the terminal shows, and as a JSON record."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from statistics import fmean, geometric_mean

from suite.machine import Machine
from suite.results import Result

COLUMNS = (
    "model",
    "operation",
    "loading",
    "rows",
    "ours",
    "neml2",
    "unit",
    "gain",
    "from - to",
    "dropped",
)
WIDTHS = (30, 18, 8, 8, 10, 10, 12, 8, 15, 8)
_LEFT = {"model", "operation", "loading", "unit"}
UNRELIABLE = "~"


def table(results: Iterable[Result]) -> str:
    """A Markdown table with a line for each result."""
    return "\n".join((*header(), *(line(result) for result in results)))


def header() -> tuple[str, str]:
    """The first two lines of the table."""
    rule = [
        "-" * width if name in _LEFT else "-" * (width - 1) + ":"
        for name, width in zip(COLUMNS, WIDTHS, strict=True)
    ]
    return _row(COLUMNS), _row(rule)


def line(result: Result) -> str:
    """One result; ``~`` before the gain where every block was disturbed."""
    mark = "" if result.is_reliable else UNRELIABLE
    low, high = result.spread
    return _row(
        (
            result.model,
            result.operation,
            result.loading,
            str(result.rows),
            f"{result.ours:.4g}",
            f"{result.reference:.4g}",
            result.unit,
            f"{mark}{result.gain:.2f}",
            f"{low:.2f} - {high:.2f}",
            f"{result.dropped}/{result.pairs}",
        )
    )


def _row(cells: Sequence[str]) -> str:
    padded = [
        cell.ljust(width) if name in _LEFT else cell.rjust(width)
        for cell, name, width in zip(cells, COLUMNS, WIDTHS, strict=True)
    ]
    return f"| {' | '.join(padded)} |"


def summary(results: Sequence[Result], left_out: Sequence[str] = ()) -> str:
    """The worst result, the mean over the models at each number of rows, and what is missing."""
    lines = []
    if results:
        worst = min(results, key=lambda result: result.gain)
        lines.append(
            f"- Least gain: {worst.gain:.2f} ({worst.model}, {worst.operation}, {worst.loading}, "
            f"{worst.rows} rows)."
        )
    forward = [result for result in results if result.operation == "forward"]
    for loading in dict.fromkeys(result.loading for result in forward):
        for rows in sorted({result.rows for result in forward}):
            gains = [r.gain for r in forward if (r.loading, r.rows) == (loading, rows)]
            if len(gains) > 1:
                lines.append(
                    f"- Forward, {loading}, {rows} rows: geometric mean of the gains over "
                    f"{len(gains)} models {geometric_mean(gains):.2f}."
                )
    pairs, dropped = (sum(getattr(r, name) for r in results) for name in ("pairs", "dropped"))
    unreliable = sum(not result.is_reliable for result in results)
    lines.append(f"- {dropped} of {pairs} pairs of blocks were disturbed by others and dropped.")
    others = [result.others for result in results if result.others is not None]
    if others:
        lines.append(f"- Other processes used {fmean(others):.2f} processors meanwhile.")
    if unreliable:
        lines.append(
            f"- {unreliable} results, marked {UNRELIABLE}, had no undisturbed pair: their figures "
            "are from disturbed blocks and say little."
        )
    lines += [f"- Left out: {what}." for what in left_out]
    return "\n".join(lines)


def markdown(machine: Machine, results: Sequence[Result], left_out: Sequence[str] = ()) -> str:
    """The whole report."""
    facts = "\n".join(f"- {name.replace('_', ' ')}: {v}" for name, v in asdict(machine).items())
    return (
        f"# Ours against neml2's own runtime\n\n{facts}\n\n{summary(results, left_out)}\n\n"
        f"{table(results)}\n"
    )


def record(machine: Machine, results: Sequence[Result]) -> str:
    """Everything, the raw times of each block included, as JSON."""
    data = {"machine": asdict(machine), "results": [asdict(result) for result in results]}
    return json.dumps(data, indent=1) + "\n"
