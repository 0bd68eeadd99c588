"""The posterior of the parameters that ``calibrate.py`` fits, sampled with pyro's NUTS.

The gradient of the likelihood goes through the compiled model and all steps of the history. The
sampler starts at the fit, in coordinates in which the Gauss-Newton approximation of the posterior
is a standard normal distribution, so that few steps per sample suffice.
"""

from __future__ import annotations

import argparse
import time

import matplotlib as mpl
import pyro
import torch
from calibrate import calibrate
from pyro.distributions import Normal
from pyro.infer import MCMC, NUTS
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

PRIOR = 0.5
"""Standard deviation of the logarithms of the parameters around those of the first guess."""


def simulate(model: Model, loading: Loading, logarithms: torch.Tensor) -> torch.Tensor:
    """Stresses for logarithms of relative parameters."""
    return axial_stresses(model, loading, named(true_values(model) * logarithms.exp()))


def covariance(model: Model, loading: Loading, logarithms: torch.Tensor) -> torch.Tensor:
    """Of the Gauss-Newton approximation: (J^T J / noise^2 + 1 / prior^2)^-1."""
    columns = []
    step = 1e-4
    with torch.no_grad():
        for unit in torch.eye(len(logarithms), dtype=torch.float64):
            upper, lower = (simulate(model, loading, logarithms + s * unit) for s in (step, -step))
            columns.append(((upper - lower) / (2.0 * step)).flatten() / NOISE)
    jacobian = torch.stack(columns, dim=1)
    precision = jacobian.T @ jacobian + torch.eye(len(logarithms), dtype=torch.float64) / PRIOR**2
    return torch.linalg.inv(precision)


def sample(
    model: Model, loading: Loading, measured: torch.Tensor, *, warmup: int, samples: int
) -> torch.Tensor:
    """Relative parameters, (samples, parameters)."""
    fit, _ = calibrate(model, loading, measured, iterations=30)
    root = torch.linalg.cholesky(covariance(model, loading, fit.log()))

    def posterior() -> None:
        whitened = pyro.sample(
            "whitened", Normal(torch.zeros_like(fit), 10.0 * torch.ones_like(fit)).to_event(1)
        )
        logarithms = fit.log() + root @ whitened
        # The flat proposal of the line above drops out: the prior is on the logarithms.
        pyro.factor("prior", Normal(GUESS.log(), PRIOR).log_prob(logarithms).sum())
        pyro.factor("flat", -Normal(0.0, 10.0).log_prob(whitened).sum())
        stresses = simulate(model, loading, logarithms)
        pyro.sample("stresses", Normal(stresses, NOISE).to_event(2), obs=measured)

    pyro.set_rng_seed(1)
    kernel = NUTS(
        posterior, step_size=0.7, adapt_mass_matrix=False, max_tree_depth=4, full_mass=False
    )
    chain = MCMC(
        kernel,
        num_samples=samples,
        warmup_steps=warmup,
        initial_params={"whitened": torch.zeros_like(fit)},
        disable_progbar=True,
    )
    chain.run()
    whitened = chain.get_samples()["whitened"]
    return (fit.log() + whitened @ root.T).exp()


def draw(relative: torch.Tensor, picture: str) -> None:
    """Marginal distributions, pair by pair."""
    labels = list(PARAMETERS.values())
    count = len(labels)
    figure, grid = plt.subplots(count, count, figsize=(9, 9), sharex="col")
    for row in range(count):
        for column in range(count):
            axes = grid[row, column]
            axes.spines[["top", "right"]].set_visible(False)
            if column > row:
                axes.set_visible(False)
            elif column == row:
                axes.hist(relative[:, row], bins=20, color="tab:blue", alpha=0.7)
                axes.axvline(1.0, color="tab:orange", linewidth=1)
                axes.set_yticks([])
                axes.spines["left"].set_visible(False)
            else:
                axes.plot(relative[:, column], relative[:, row], ".", markersize=2.5, alpha=0.6)
                axes.plot(1.0, 1.0, "+", color="tab:orange", markersize=9)
            if row == count - 1:
                axes.set_xlabel(labels[column])
            if column == 0 and row > 0:
                axes.set_ylabel(labels[row])
    figure.suptitle("posterior, relative to the true values (orange)")
    figure.align_labels()
    figure.tight_layout()
    figure.savefig(picture, dpi=130)
    plt.close(figure)


def main() -> None:
    """Sample, print a table and draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=100, help="time steps of the history")
    parser.add_argument("--warmup", type=int, default=50, help="samples that are thrown away")
    parser.add_argument("--samples", type=int, default=250, help="samples that are kept")
    arguments = parser.parse_args()
    model, loading, measured = prepared(steps=arguments.steps)
    start = time.perf_counter()
    relative = sample(model, loading, measured, warmup=arguments.warmup, samples=arguments.samples)
    seconds = time.perf_counter() - start

    truth = true_values(model)
    print(f"\n{'parameter':22}{'true':>10}{'5 %':>10}{'median':>10}{'95 %':>10}")
    bounds = torch.quantile(relative, torch.tensor([0.05, 0.5, 0.95], dtype=torch.float64), dim=0)
    for k, label in enumerate(PARAMETERS.values()):
        low, middle, high = (truth[k] * bounds[:, k]).tolist()
        print(f"{label:22}{truth[k].item():10.1f}{low:10.1f}{middle:10.1f}{high:10.1f}")
    print(f"\n{len(relative)} samples in {seconds:.0f} s")
    picture = OUTPUT / "posterior.png"
    draw(relative, str(picture))
    print(f"marginal distributions: {picture}")


if __name__ == "__main__":
    main()
