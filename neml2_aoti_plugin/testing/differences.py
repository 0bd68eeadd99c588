"""Where computed values differ from expected ones, for people to read.

Keys are those of neml2's drivers, ``output.STEP.NAME``; a key of another form is shown as it is.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from neml2_aoti_plugin.cli.history import COMPONENTS

if TYPE_CHECKING:
    import torch

ENTRIES_SHOWN = 10
ENTRIES_OF_A_VARIABLE = 3
_KEY = re.compile(r"^(?P<side>\w+)\.(?P<step>\d+)\.(?P<name>.+)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One number that is not what it should be."""

    variable: str
    step: str
    row: str
    component: str
    found: float
    expected: float
    difference: float
    allowed: float
    excess: float
    """Difference over what is allowed; infinite where either number is not finite."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    compared: int
    """How many numbers were."""
    wrong: Counter[str]
    """How many are wrong, by variable."""
    entries: tuple[Entry, ...]
    """The worst of each variable, worst first."""
    remarks: tuple[str, ...]
    """What could not be compared, and why."""

    def __bool__(self) -> bool:
        """Whether anything differs."""
        return bool(self.wrong or self.remarks)


def compare(
    found: Mapping[str, torch.Tensor],
    expected: Mapping[str, torch.Tensor],
    *,
    rtol: float,
    atol: float,
    types: Mapping[str, Any],
) -> Comparison:
    """Compare every expected value as ``torch.testing.assert_close`` does.

    ``types``: neml2's type of each variable, which says how components are called.
    """
    remarks: list[str] = []
    entries: list[Entry] = []
    wrong: Counter[str] = Counter()
    compared = 0
    for key, wanted in expected.items():
        value = found.get(key)
        obstacle = _obstacle(key, value, wanted)
        if value is None or obstacle is not None:
            remarks.append(str(obstacle))
            continue
        compared += wanted.numel()
        worst = list(_wrong_entries(key, value, wanted, rtol, atol, types))
        if worst:
            variable, count = worst[0][0].variable, worst[0][1]
            wrong[variable] += count
            entries.extend(entry for entry, _ in worst)
    return Comparison(
        compared=compared,
        wrong=wrong,
        entries=tuple(_worst_of_each(entries)),
        remarks=tuple(remarks),
    )


def _obstacle(key: str, found: torch.Tensor | None, wanted: torch.Tensor) -> str | None:
    if found is None:
        return f"{key}: not computed, but expected"
    for fact in ("shape", "dtype"):
        ours, theirs = getattr(found, fact), getattr(wanted, fact)
        if ours != theirs:
            ours, theirs = (tuple(each) if fact == "shape" else each for each in (ours, theirs))
            return f"{key}: {fact} {ours}, expected {theirs}"
    return None


def _wrong_entries(
    key: str,
    found: torch.Tensor,
    wanted: torch.Tensor,
    rtol: float,
    atol: float,
    types: Mapping[str, Any],
) -> Iterator[tuple[Entry, int]]:
    """The worst entries of one tensor, each with the number of all wrong ones in it."""
    import torch

    found, wanted = found.detach().double(), wanted.detach().double()
    is_wrong = ~torch.isclose(found, wanted, rtol=rtol, atol=atol)
    count = int(is_wrong.sum())
    if count == 0:
        return
    difference = (found - wanted).abs()
    allowed = atol + rtol * wanted.abs()
    excess = (difference / allowed).nan_to_num(nan=torch.inf).where(is_wrong, -1.0).reshape(-1)
    match = _KEY.match(key)
    name = match["name"] if match else key
    for flat in excess.topk(min(count, ENTRIES_OF_A_VARIABLE)).indices.tolist():
        index = _unravelled(flat, tuple(wanted.shape))
        row, component = _position(index, types.get(name))
        yield (
            Entry(
                variable=f"{match['side']}.{name}" if match else key,
                step=match["step"] if match else "",
                row=row,
                component=component,
                found=float(found[index]),
                expected=float(wanted[index]),
                difference=float(difference[index]),
                allowed=float(allowed[index]),
                excess=float(excess[flat]),
            ),
            count,
        )


def _unravelled(flat: int, shape: tuple[int, ...]) -> tuple[int, ...]:
    index: list[int] = []
    for extent in reversed(shape):
        flat, each = divmod(flat, extent)
        index.insert(0, each)
    return tuple(index)


def _position(index: tuple[int, ...], wrapper: Any) -> tuple[str, str]:
    """Row and component of an index: batch and sites, and the axes of the type."""
    base = tuple(wrapper.BASE_SHAPE) if wrapper is not None else ()
    lead, inner = index[: len(index) - len(base)], index[len(index) - len(base) :]
    names = COMPONENTS.get(wrapper.__name__) if wrapper is not None else None
    if names is None:
        component = _joined(inner)
    else:
        position = 0
        for extent, each in zip(base, inner, strict=True):
            position = position * extent + each
        component = names[position]
    return _joined(lead), component


def _joined(index: tuple[int, ...]) -> str:
    return ",".join(str(each) for each in index)


def _worst_of_each(entries: list[Entry]) -> Iterator[Entry]:
    shown: Counter[str] = Counter()
    for entry in sorted(entries, key=lambda each: -each.excess):
        shown[entry.variable] += 1
        if shown[entry.variable] <= ENTRIES_OF_A_VARIABLE:
            yield entry


# --- showing


def report(comparison: Comparison) -> str:
    """Lines for a terminal: a table of the worst entries, what else is wrong, and totals."""
    lines: list[str] = []
    if comparison.entries:
        lines += _table(comparison.entries[:ENTRIES_SHOWN])
        total = sum(comparison.wrong.values())
        listed = ", ".join(f"{count} of {name}" for name, count in comparison.wrong.items())
        lines += ["", f"{total} of {comparison.compared} numbers differ: {listed}"]
    lines += comparison.remarks[:ENTRIES_SHOWN]
    if len(comparison.remarks) > ENTRIES_SHOWN:
        lines.append(f"and {len(comparison.remarks) - ENTRIES_SHOWN} more of this kind")
    return "\n".join(lines)


_HEADER = ("variable", "step", "row", "component", "found", "expected", "difference", "allowed")
_LEFT_ALIGNED = (0, 3)


def _table(entries: tuple[Entry, ...]) -> list[str]:
    rows = [
        _HEADER,
        *(
            (
                each.variable,
                each.step,
                each.row,
                each.component,
                f"{each.found:.9g}",
                f"{each.expected:.9g}",
                f"{each.difference:.2e}",
                f"{each.allowed:.2e}",
            )
            for each in entries
        ),
    ]
    used = [column for column in range(len(_HEADER)) if any(row[column] for row in rows[1:])]
    widths = {column: max(len(row[column]) for row in rows) for column in used}
    return [
        "  ".join(
            row[column].ljust(widths[column])
            if column in _LEFT_ALIGNED
            else row[column].rjust(widths[column])
            for column in used
        ).rstrip()
        for row in rows
    ]
