"""Run our solver functions and those of neml2's binary on the same small systems, to the last bit.

Run with the plugin switched off. Prints one line per comparison, ``same`` or what differs.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import neml2  # the binary needs it
import torch
from neml2.aoti import _aoti as binary

from neml2_aoti_plugin import native_solvers as ours

torch.set_default_dtype(torch.float64)

Groups = list[torch.Tensor]


class Cubic:
    """``u^3 = targets`` entry by entry, in one dense group ``(*batch, 2)``."""

    layout = (("dense", ()),)

    def __init__(self, targets: torch.Tensor) -> None:
        self.targets = targets

    def residual(self, u: Groups) -> Groups:
        return [self.targets - u[0] ** 3]

    def step(self, u: Groups) -> tuple[Groups, Groups]:
        b = self.residual(u)
        return [b[0] / (3 * u[0] ** 2)], b


class Coupled:
    """A block group of 3 sites with 2 unknowns each, and a dense group with their mean."""

    layout = (("block", (3,)), ("dense", ()))

    def __init__(self, targets: torch.Tensor) -> None:
        self.targets = targets

    def residual(self, u: Groups) -> Groups:
        sites, mean = u
        return [
            self.targets.unsqueeze(-2) - sites.exp() - mean.unsqueeze(-2),
            sites.mean(dim=-2) - mean,
        ]

    def step(self, u: Groups) -> tuple[Groups, Groups]:
        b = self.residual(u)
        return [b[0] / u[0].exp(), b[1] + (b[0] / u[0].exp()).mean(dim=-2)], b


class Logarithm(Cubic):
    """``log u = targets``: an overshoot below zero is NaN, which only a line search survives."""

    def residual(self, u: Groups) -> Groups:
        return [self.targets - u[0].log()]

    def step(self, u: Groups) -> tuple[Groups, Groups]:
        b = self.residual(u)
        return [b[0] * u[0]], b


TARGETS = torch.tensor([[2.0, 5.0], [0.1, 70.0], [8.0, 8.0], [3.0, 1e-3], [-2.5, -4.0]])

SETTINGS: dict[str, Any] = {
    "atol": 1e-10,
    "rtol": 1e-8,
    "miters": 25,
    "ls_type": "BACKTRACKING",
    "ls_max_iters": 1,
    "ls_cutback": 2.0,
    "ls_c": 1e-3,
}

VARIANTS = {
    "full step": {},
    "backtracking": {"ls_max_iters": 6, "ls_cutback": 3.0, "ls_c": 0.2},
    "strong wolfe": {"ls_type": "STRONG_WOLFE", "ls_max_iters": 5, "ls_c": 0.7},
    "unknown search": {"ls_type": "SIDEWAYS", "ls_max_iters": 4},
    "one trial": {"ls_max_iters": 2},
    "few iterations": {"miters": 4},
    "no iterations": {"miters": 1},
    "zero iterations": {"miters": 0},
    "absolute only": {"rtol": 0.0},
    "relative only": {"atol": 0.0, "rtol": 1e-3},
    "loose": {"atol": 1e3},
}


def systems() -> Iterator[tuple[str, Any, Groups]]:
    for rows in (0, 1, 3, 5):
        targets = TARGETS[:rows]
        guess = torch.ones(rows, 2)
        yield f"cubic {rows}", Cubic(targets), [guess]
        yield f"cubic {rows}, unbatched guess", Cubic(targets), [torch.ones(2)]
        yield f"logarithm {rows}", Logarithm(targets), [guess]
        sites = torch.linspace(0.0, 1.0, rows * 6).reshape(rows, 3, 2)
        yield f"coupled {rows}", Coupled(targets), [sites, guess]
    yield "cubic without batch", Cubic(TARGETS[0]), [torch.ones(2)]
    yield "cubic on two axes", Cubic(TARGETS[:4].reshape(2, 2, 2)), [torch.ones(2, 2, 2)]
    yield "cubic from zero", Cubic(TARGETS), [torch.zeros(5, 2)]


def outcome(function: Callable[..., Any], system: Any, guess: Groups, **settings: Any) -> Any:
    try:
        result = function(
            residual_fn=system.residual,
            step_fn=system.step,
            unknown_layout=[(kind, list(sub_batch)) for kind, sub_batch in system.layout],
            residual_layout=[(kind, list(sub_batch)) for kind, sub_batch in system.layout],
            u0=[value.clone() for value in guess],
            **settings,
        )
    except RuntimeError as error:
        return type(error).__name__, "diverged" in str(error)
    parts = result if settings.get("collect_log") else result[:3]
    return [part if isinstance(part, (bool, int)) else describe(part) for part in parts]


def describe(part: Any) -> Any:
    values = [part] if isinstance(part, torch.Tensor) else list(part)
    return [
        value if isinstance(value, str) else (tuple(value.shape), str(value.tolist()))
        for value in values
    ]


def main() -> None:
    for (name, system, guess), variant in itertools.product(systems(), VARIANTS):
        settings = SETTINGS | VARIANTS[variant]
        # The lines are compared where they have today's form, which they got together with the log;
        # the binary cannot word the norms of an empty batch.
        has_lines = hasattr(binary, "log") and not name.endswith(" 0") and "cubic 0" not in name
        log = {"collect_log": True} if has_lines else {}
        for function, more in (("newton_solve_eager", log), ("newton_solve_eager_masked", {})):
            if not hasattr(binary, function):
                continue
            theirs = outcome(getattr(binary, function), system, guess, **settings, **more)
            mine = outcome(getattr(ours, function), system, guess, **settings, **more)
            verdict = "same" if mine == theirs else f"{mine} instead of {theirs}"
            print(f"{function}, {name}, {variant}: {verdict}")


if __name__ == "__main__":
    assert neml2.aoti._aoti is binary
    main()
