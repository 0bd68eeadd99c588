"""Compiled solves in the log: the channels ``newton``, ``linear`` and ``substep``.

neml2 3.0.7 and later has a log of its own, with levels from ``NEML2_LOGS`` and sinks that programs
may replace; lines go there. Elsewhere they go to Python's loggers ``neml2_aoti_plugin.<channel>``,
where ``NEML2_LOGS`` sets the levels as well. Lines are made from
:class:`~neml2_aoti_plugin.solves.SolveRecord` after a call, and only where somebody reads them; a
linear solve that missed its tolerance is always reported, and so are rows that a call went on
without.

For programs, the same solves are records of Python's logger ``neml2_aoti_plugin.solves``, one per
solve at level INFO, whatever the host's log does, with their figures as attribute ``solve`` (see
:func:`figures_of`).
"""

from __future__ import annotations

import functools
import logging
import os
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import torch

from neml2_aoti_plugin.solves import RowStatus, SolveAttempt, SolveRecord, row_status

_records = logging.getLogger("neml2_aoti_plugin.solves")
_ROWS_SHOWN = 5

_CHANNELS = ("newton", "linear", "substep")
_LEVELS = {
    "silent": logging.CRITICAL + 1,
    "none": logging.CRITICAL + 1,
    "off": logging.CRITICAL + 1,
    "warning": logging.WARNING,
    "warn": logging.WARNING,
    "info": logging.INFO,
    "debug": logging.DEBUG,
    "0": logging.CRITICAL + 1,
    "1": logging.WARNING,
    "2": logging.INFO,
    "3": logging.DEBUG,
}


def is_listening() -> bool:
    """Whether anybody reads more than warnings."""
    return _records.isEnabledFor(logging.INFO) or any(
        _is_enabled(channel, "info") for channel in _CHANNELS
    )


def report(solves: Iterable[SolveRecord]) -> None:
    """Write what the solves of one call took to the log."""
    for solve in solves:
        _report_attempts(solve)
        _report_substeps(solve)
        _warn_of_missed_linear_solves(solve)
        if _records.isEnabledFor(logging.INFO):
            figures = figures_of(solve)
            _records.info(
                "segment '%(segment)s': %(rows)d rows, %(failed)d failed, at most %(iterations)d "
                "iterations",
                figures,
                extra={"solve": figures},
            )


def warn_of_failed_rows(solves: Sequence[SolveRecord]) -> None:
    """Say which rows of a call have no results."""
    status = row_status(solves)
    failed = status.flatten().nonzero().flatten().tolist()
    shown = ", ".join(str(row) for row in failed[:_ROWS_SHOWN])
    more = f" and {len(failed) - _ROWS_SHOWN} more" if len(failed) > _ROWS_SHOWN else ""
    causes = ", ".join(
        f"{count} {cause.name.lower().replace('_', ' ')}"
        for cause in RowStatus
        if cause is not RowStatus.CONVERGED and (count := int((status == cause).sum()))
    )
    _records.warning(
        "%d of %d rows failed to solve (%s); their results are not a number: rows %s%s",
        len(failed),
        status.numel(),
        causes,
        shown,
        more,
        extra={"failed_rows": failed, "solves": [figures_of(solve) for solve in solves]},
    )


def figures_of(solve: SolveRecord) -> dict[str, Any]:
    """The figures of one solve as plain numbers, fit for JSON."""
    return {
        "segment": solve.segment,
        "has_tangents": solve.has_tangents,
        "rows": solve.status.numel(),
        "failed": int((solve.status != RowStatus.CONVERGED).sum()),
        "iterations": _largest(solve.iterations),
        "all_iterations": int(solve.iterations.sum()),
        "substeps": _largest(solve.substeps),
        "linear_iterations": _largest(solve.linear_iterations),
        "missed_linear_solves": int(solve.missed_linear_solves.sum()),
    }


def _largest(counts: torch.Tensor) -> int:
    return int(counts.max()) if counts.numel() else 0


def _report_attempts(solve: SolveRecord) -> None:
    if not (_is_enabled("newton", "info") or _is_enabled("linear", "info")):
        return
    for attempt in solve.attempts:
        _emit("newton", "info", "---- begin newton solve ----")
        for iteration, iterate in enumerate(attempt.trace):
            if iteration > 0 and iterate.linear_iterations:
                outcome = (
                    f"NOT converged in {iterate.missed_linear_solves} rows"
                    if iterate.missed_linear_solves
                    else "converged"
                )
                _emit(
                    "linear", "info", f"linear solve: iters={iterate.linear_iterations}, {outcome}"
                )
            _emit(
                "newton",
                "debug",
                f"ITERATION {iteration:3d}, |R| = {iterate.residual_norm:.6e},"
                f" |R0| = {iterate.initial_residual_norm:.6e}",
            )
        _emit("newton", "info", _result_of(attempt, solve))
        _emit("newton", "info", "---- end newton solve ----")


def _result_of(attempt: SolveAttempt, solve: SolveRecord) -> str:
    last, updates = attempt.trace[-1], len(attempt.trace) - 1
    norms = f"|R|={last.residual_norm:.6e}, |R0|={last.initial_residual_norm:.6e}"
    if attempt.failed == 0:
        where = "" if updates else " at predictor"
        return f"converged{where} (iters={updates}, reason={_reason(attempt, solve)})"
    rows = f"{attempt.failed} of {attempt.active} rows"
    if last.residual_norm < float("inf"):
        return f"NOT converged in {rows} (max_iters={solve.max_iterations}, {norms})"
    return f"diverged at iter {updates} in {rows} ({norms})"


def _reason(attempt: SolveAttempt, solve: SolveRecord) -> str:
    """By which test the last rows passed."""
    last = attempt.trace[-1]
    return reason_of(
        absolute=last.residual_norm < solve.absolute_tolerance,
        relative=last.residual_norm < solve.relative_tolerance * last.initial_residual_norm,
    )


def reason_of(*, absolute: bool, relative: bool) -> str:
    """The word for the tests that all rows passed; ``mixed`` where each passed another."""
    return {
        (True, True): "both",
        (True, False): "abs_tol",
        (False, True): "rel_tol",
        (False, False): "mixed",
    }[absolute, relative]


def _report_substeps(solve: SolveRecord) -> None:
    if max(attempt.level for attempt in solve.attempts) == 0 and len(solve.attempts) == 1:
        return
    for attempt in solve.attempts:
        _emit(
            "substep",
            "debug",
            f"{'':{2 * (attempt.level + 1)}}span [{attempt.begin:g}, {attempt.end:g}]"
            f" L{attempt.level}: active={attempt.active} ->"
            f" converged={attempt.active - attempt.failed} failed={attempt.failed}",
        )
    what = "jacobian" if solve.has_tangents else "value"
    rows = solve.substeps.numel()
    substepped = sum(attempt.failed for attempt in solve.attempts if attempt.level == 0)
    depth = max(attempt.level for attempt in solve.attempts)
    _emit(
        "substep",
        "info",
        f"{what}: B={rows} elements, {substepped} substepped, max depth={depth},"
        f" {len(solve.attempts)} segment-solves",
    )


def _warn_of_missed_linear_solves(solve: SolveRecord) -> None:
    missed = solve.missed_linear_solves > 0
    if not bool(missed.any()) or not _is_enabled("linear", "warning"):
        return
    excess = solve.worst_linear_excess.nan_to_num(nan=torch.inf).flatten()
    _emit(
        "linear",
        "warning",
        f"segment '{solve.segment}': iterative linear solves did not converge in"
        f" {int(missed.sum())} of {missed.numel()} rows (worst row {int(excess.argmax())}:"
        f" |b - A du| is {float(excess.max()):.3g} times its tolerance). Their updates were used"
        " as they were. Raise max_its or restart, use a preconditioner, or a direct solver.",
    )


def _is_enabled(channel: str, level: str) -> bool:
    host = _host_log()
    if host is not None:
        return bool(host.enabled(channel, level))
    return _logger(channel).isEnabledFor(_LEVELS[level])


def _emit(channel: str, level: str, line: str) -> None:
    if not _is_enabled(channel, level):
        return
    host = _host_log()
    if host is not None:
        host.emit(channel, level, line)
    else:
        _logger(channel).log(_LEVELS[level], "%s", line)


def _host_log() -> Any:
    return sys.modules.get("neml2.log")


@functools.cache
def _logger(channel: str) -> logging.Logger:
    """The channel's logger, at the level that ``NEML2_LOGS`` gives it, if any."""
    logger = logging.getLogger(f"neml2_aoti_plugin.{channel}")
    level = _level_in_environment(channel)
    if level is not None:
        logger.setLevel(level)
        if level < logging.WARNING and not logger.hasHandlers():
            logger.addHandler(logging.StreamHandler())
    return logger


def _level_in_environment(channel: str) -> int | None:
    entries = dict(
        entry.lower().replace(" ", "").split("=", 1)
        for entry in os.environ.get("NEML2_LOGS", "").split(",")
        if "=" in entry
    )
    named = entries.get(channel, entries.get("all"))
    return None if named is None else _LEVELS.get(named)
