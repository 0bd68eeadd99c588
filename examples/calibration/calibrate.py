"""Calibrate five parameters of a compiled Chaboche model to cyclic tests with ``torch.optim``.

The gradient goes back through all steps of the history: each step's state is an input of the next.
"""

from __future__ import annotations

import argparse
import time

import matplotlib as mpl
import torch
from specimens import (
    GUESS,
    NOISE,
    OUTPUT,
    PARAMETERS,
    Loading,
    axial_stresses,
    named,
    prepared,
    true_values,
)

from neml2_aoti_plugin import Model

mpl.use("agg")
from matplotlib import pyplot as plt


def calibrate(
    model: Model, loading: Loading, measured: torch.Tensor, *, iterations: int
) -> tuple[torch.Tensor, list[float]]:
    """Relative parameters, and the misfit of every evaluation in standard deviations of the noise.

    The logarithms are optimised: parameters stay positive and are all of order one.
    """
    truth = true_values(model)
    logarithms = GUESS.log().requires_grad_()
    optimiser = torch.optim.LBFGS(
        [logarithms],
        lr=1.0,
        max_iter=iterations,
        history_size=10,
        tolerance_grad=1e-6,
        tolerance_change=1e-10,
        line_search_fn="strong_wolfe",
    )
    misfits = []

    def evaluate() -> torch.Tensor:
        optimiser.zero_grad()
        stresses = axial_stresses(model, loading, named(truth * logarithms.exp()))
        loss = ((stresses - measured) / NOISE).square().mean()
        loss.backward()
        misfits.append(loss.item() ** 0.5)
        return loss

    optimiser.step(evaluate)
    return logarithms.detach().exp(), misfits


def draw(
    loading: Loading,
    measured: torch.Tensor,
    before: torch.Tensor,
    after: torch.Tensor,
    misfits: list[float],
    picture: str,
) -> None:
    """Loops of the larger amplitude before and after, and how the misfit fell."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), width_ratios=(3, 2))
    strain = 100.0 * loading.strains[1:, -1]
    left.plot(strain, measured[:, -1], ".", color="0.4", markersize=4, label="measured")
    left.plot(strain, before[:, -1], "--", color="tab:orange", linewidth=1, label="first guess")
    left.plot(strain, after[:, -1], color="tab:blue", linewidth=1.2, label="calibrated")
    left.set(xlabel="axial strain in %", ylabel="axial stress in MPa")
    left.legend(frameon=False, loc="upper left")
    right.semilogy(range(1, len(misfits) + 1), misfits, ".-", color="tab:blue")
    right.axhline(1.0, color="0.4", linewidth=0.8, linestyle=":")
    right.annotate("noise", (1, 1.0), (0, 4), textcoords="offset points", color="0.4")
    right.set(xlabel="evaluation", ylabel="misfit in standard deviations of the noise")
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(picture, dpi=150)
    plt.close(figure)


def main() -> None:
    """Calibrate, print a table and draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=100, help="time steps of the history")
    parser.add_argument("--iterations", type=int, default=60, help="most iterations of L-BFGS")
    arguments = parser.parse_args()
    model, loading, measured = prepared(steps=arguments.steps)
    start = time.perf_counter()
    found, misfits = calibrate(model, loading, measured, iterations=arguments.iterations)
    seconds = time.perf_counter() - start

    truth = true_values(model)
    print(f"\n{'parameter':22}{'true':>10}{'guess':>10}{'found':>10}{'error':>9}")
    for k, label in enumerate(PARAMETERS.values()):
        true, guess, value = truth[k].item(), (truth * GUESS)[k].item(), (truth * found)[k].item()
        print(f"{label:22}{true:10.1f}{guess:10.1f}{value:10.1f}{value / true - 1:9.1%}")
    print(
        f"\nmisfit {misfits[0]:.1f} -> {min(misfits):.3f} standard deviations of the noise in "
        f"{len(misfits)} gradients of {arguments.steps} steps, {seconds:.1f} s"
    )
    with torch.no_grad():
        before, after = (axial_stresses(model, loading, named(truth * p)) for p in (GUESS, found))
    picture = OUTPUT / "calibration.png"
    draw(loading, measured, before, after, misfits, str(picture))
    print(f"loops and misfit: {picture}")


if __name__ == "__main__":
    main()
