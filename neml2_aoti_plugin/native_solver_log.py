"""What a native solve reports: lines for the caller who asked for them, and the host's log.

The host's binary writes its Newton iteration to the channel ``newton`` of ``neml2.log`` and its
Krylov iterations to ``linear``. With the binary out of the way, such lines go there from here, so
that ``NEML2_LOGS=newton=debug`` keeps working. Hosts without that module (before 3.0.7) get the
collected lines only; they have no Krylov solvers.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch

from neml2_aoti_plugin.solve_log import reason_of

if TYPE_CHECKING:
    from neml2_aoti_plugin.krylov import KrylovResult
    from neml2_aoti_plugin.native_newton import NewtonSettings


class SolveLog:
    """The report of one solve; norms cross to the host only where somebody reads them."""

    def __init__(self, *, collect: bool) -> None:
        self.lines: list[str] = []
        self._collect = collect
        self._host: Any = sys.modules.get("neml2.log")
        self._is_info = self._host is not None and self._host.enabled("newton", "info")
        self._is_debug = self._host is not None and self._host.enabled("newton", "debug")

    @contextmanager
    def solve(self) -> Iterator[None]:
        """Frame the lines of one solve, failed or not."""
        self._info("---- begin newton solve ----")
        try:
            yield
        finally:
            self._info("---- end newton solve ----")

    def iterate(self, iteration: int, norm: torch.Tensor, initial: torch.Tensor) -> None:
        """One iterate; ``norm`` and ``initial`` are ``(*batch,)``."""
        if self._collect or self._is_debug:
            self._debug(
                f"ITERATION {iteration:3d}, |R| = {_largest(norm):.6e},"
                f" |R0| = {_largest(initial):.6e}"
            )

    def trial(
        self, trial: int, alpha: torch.Tensor, merit: torch.Tensor, limit: torch.Tensor
    ) -> None:
        """One trial of the line search; ``merit`` and ``limit`` are squared norms ``(*batch,)``."""
        if self._collect or self._is_debug:
            self._debug(
                f"  LS ITERATION {trial:3d}, min(alpha) = {_smallest(alpha):.6e},"
                f" max(||R||) = {_largest(merit.sqrt()):.6e},"
                f" min(||Rc||) = {_smallest(limit.sqrt()):.6e}"
            )

    def converged(
        self, updates: int, norm: torch.Tensor, initial: torch.Tensor, settings: NewtonSettings
    ) -> None:
        """Every row passed after ``updates`` updates."""
        if self._is_info:
            where = "" if updates else " at predictor"
            reason = _reason(norm, initial, settings)
            self._info(f"converged{where} (iters={updates}, reason={reason})")

    def diverged(self, iteration: int) -> None:
        """A row became non-finite."""
        self._info(f"diverged at iter {iteration} (non-finite residual)")

    def not_converged(
        self, norm: torch.Tensor, initial: torch.Tensor, settings: NewtonSettings
    ) -> None:
        """The updates were used up."""
        if self._is_info:
            self._info(
                f"NOT converged (max_iters={settings.max_iterations},"
                f" |R|={_largest(norm):.6e}, |R0|={_largest(initial):.6e})"
            )

    def _debug(self, line: str) -> None:
        if self._collect:
            self.lines.append(line)
        if self._is_debug:
            self._host.emit("newton", "debug", line)

    def _info(self, line: str) -> None:
        if self._is_info:
            self._host.emit("newton", "info", line)


class LinearSolveLog:
    """The report of iterative linear solves on the channel ``linear``."""

    def __init__(self, method: str) -> None:
        self._method = method
        self._host: Any = sys.modules.get("neml2.log")

    def observer(self) -> Callable[[int, torch.Tensor], None] | None:
        """What to call after each iteration with its number and ``|b - A x|``, if anything."""
        return self._iterate if self._is_enabled("debug") else None

    def solved(self, result: KrylovResult) -> None:
        """One solve: a warning where a row missed its tolerance, else information."""
        if not self._is_enabled("warning"):
            return
        failed = ~result.converged
        if bool(failed.any()):
            self._warn(_missed_tolerance(self._method, result, failed))
        elif self._is_enabled("info"):
            self._host.emit("linear", "info", f"linear solve: iters={result.iterations}, converged")

    def _iterate(self, iteration: int, norm: torch.Tensor) -> None:
        self._host.emit(
            "linear", "debug", f"  krylov iter={iteration}, max|r|={_largest(norm):.6e}"
        )

    def _is_enabled(self, level: str) -> bool:
        if self._host is None:
            return level == "warning"
        return bool(self._host.enabled("linear", level))

    def _warn(self, line: str) -> None:
        if self._host is None:
            warnings.warn(line, RuntimeWarning, stacklevel=2)
        else:
            self._host.emit("linear", "warning", line)


def _missed_tolerance(method: str, result: KrylovResult, failed: torch.Tensor) -> str:
    norm, target = result.residual_norm, result.target
    # The row that is farthest from its target; a norm that is not a number is farther than any.
    excess = torch.where(failed, (norm / target).nan_to_num(nan=torch.inf), -torch.inf)
    worst = int(excess.argmax())
    return (
        f"linear solve did not converge ({method}, iters={result.iterations}):"
        f" {int(failed.sum())} of {failed.numel()} rows are above their tolerance (worst row"
        f" {worst}: |b - A x| = {float(norm[worst]):.3e}, tolerance {float(target[worst]):.3e})."
        " Its result is used as it is. Raise max_its or restart, use a preconditioner, or a direct"
        " solver."
    )


def _reason(norm: torch.Tensor, initial: torch.Tensor, settings: NewtonSettings) -> str:
    return reason_of(
        absolute=bool((norm < settings.absolute_tolerance).all()),
        relative=bool((norm / initial < settings.relative_tolerance).all()),
    )


def _largest(per_row: torch.Tensor) -> float:
    return float(per_row.max()) if per_row.numel() else 0.0


def _smallest(per_row: torch.Tensor) -> float:
    return float(per_row.min()) if per_row.numel() else 0.0
