"""A plate with a hole under cyclic stretching: a finite-element code around a compiled model.

Quarter of the plate, plane strain, scikit-fem for everything but the material. The compiled
Chaboche model updates all quadrature points in one call, and its ``jacobian`` is the consistent
tangent of the global Newton iteration, which therefore converges quadratically; the last increment
is solved once more with the elastic tangent to show what that is worth. Units: mm, MPa, s.

Symmetric tensors are vectors of six in Mandel's notation, (11, 22, 33, 23, 13, 12) with the last
three times sqrt(2), so that their scalar product is that of the tensors.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import skfem
import torch
from skfem.helpers import sym_grad

from neml2_aoti_plugin import Model

mpl.use("agg")
from matplotlib import pyplot as plt

HERE = Path(__file__).resolve().parent
OUTPUT = HERE / "output"
PROJECT = HERE.parent.parent

sys.path.insert(0, str(PROJECT / "tests"))
from artifact_cache import Recipe, compile_input  # noqa: E402

RADIUS = 0.35
"""Of the hole; the quarter plate is a unit square."""
STRETCH = 3e-3
"""Largest mean strain."""
PLANE = (0, 1, 5)
"""Mandel components that vary in plane strain."""
TOLERANCE = 1e-9
"""Of the residual forces, relative to the reactions."""

State = dict[str, torch.Tensor]
"""Values at the quadrature points by variable, (points, *base)."""


def plate(divisions: int) -> skfem.MeshQuad:
    """Rays from the hole to the outer edges, denser at the hole."""
    rays = np.linspace(0.0, 1.0, divisions + 1) ** 1.4
    angles = np.linspace(0.0, 1.0, divisions + divisions % 2 + 1)
    mesh = skfem.MeshQuad.init_tensor(rays, angles)
    along, angle = mesh.p[0], 0.5 * math.pi * mesh.p[1]
    circle = RADIUS * np.stack([np.cos(angle), np.sin(angle)])
    largest = np.maximum(np.cos(angle), np.sin(angle))
    edge = np.stack([np.cos(angle), np.sin(angle)]) / largest
    return skfem.MeshQuad((1.0 - along) * circle + along * edge, mesh.t)


@skfem.LinearForm
def internal_forces(v: Any, w: Any) -> Any:
    test = sym_grad(v)
    shear = math.sqrt(2.0) * test[0, 1]
    return w["stress"][0] * test[0, 0] + w["stress"][1] * test[1, 1] + w["stress"][2] * shear


@skfem.BilinearForm
def stiffness(u: Any, v: Any, w: Any) -> Any:
    trial, test = sym_grad(u), sym_grad(v)
    left = (trial[0, 0], trial[1, 1], math.sqrt(2.0) * trial[0, 1])
    right = (test[0, 0], test[1, 1], math.sqrt(2.0) * test[0, 1])
    return sum(w["tangent"][i, j] * right[i] * left[j] for i in range(3) for j in range(3))


class Material:
    """The compiled model at every quadrature point."""

    def __init__(self, model: Model, points: tuple[int, ...]) -> None:
        self.model = model
        self.points = points
        self.count = math.prod(points)

    def at_rest(self) -> State:
        tensors = {name: torch.zeros(self.count, 6, dtype=torch.float64) for name in TENSORS}
        return tensors | {"equivalent_plastic_strain": torch.zeros(self.count, dtype=torch.float64)}

    def update(
        self, strain: torch.Tensor, old: State, span: tuple[float, float]
    ) -> tuple[State, torch.Tensor]:
        """The state after an increment over ``span`` of time, and d stress / d strain, (points, 6,
        6)."""
        inputs = {f"{name}~1": value for name, value in old.items()}
        inputs |= {"strain": strain}
        inputs |= {
            name: torch.tensor(moment, dtype=torch.float64)
            for name, moment in zip(("t~1", "t"), span, strict=True)
        }
        state, blocks = self.model.jacobian(inputs)
        return state | {"strain": strain}, blocks["stress"]["strain"]

    def elastic_tangent(self) -> torch.Tensor:
        rest = self.at_rest()
        return self.update(rest["strain"], rest, (0.0, 1e-6))[1]

    def field(self, values: torch.Tensor) -> np.ndarray:
        """(points, *components) as scikit-fem has it: (*components, elements, points of each)."""
        by_element = values.reshape(*self.points, *values.shape[1:])
        return np.moveaxis(by_element.numpy(), (0, 1), (-2, -1))


TENSORS = ("strain", "stress", "X1", "X2")


@dataclass(slots=True)
class Increment:
    """What one increment took."""

    residuals: list[float]
    """Norms of the unbalanced forces relative to the reactions, one per iteration."""
    seconds: float

    @property
    def order(self) -> float:
        """Of convergence, from the last three residuals above the rounding errors."""
        used = [value for value in self.residuals if value > 1e-13][-3:]
        if len(used) < 3:
            return math.nan
        return math.log(used[2] / used[1]) / math.log(used[1] / used[0])


class Plate:
    """The boundary-value problem and where it is."""

    def __init__(self, model: Model, divisions: int) -> None:
        mesh = plate(divisions)
        self.basis = skfem.Basis(mesh, skfem.ElementVector(skfem.ElementQuad2()), intorder=4)
        self.material = Material(model, (mesh.nelements, self.basis.X.shape[1]))
        self.displacement = self.basis.zeros()
        self.state = self.material.at_rest()
        self.moment = 0.0
        facets = {
            "left": mesh.facets_satisfying(lambda x: np.isclose(x[0], 0.0)),
            "bottom": mesh.facets_satisfying(lambda x: np.isclose(x[1], 0.0)),
            "top": mesh.facets_satisfying(lambda x: np.isclose(x[1], 1.0)),
        }
        self.top = self.basis.get_dofs(facets["top"]).all("u^2")
        fixed = [
            self.basis.get_dofs(facets["left"]).all("u^1"),
            self.basis.get_dofs(facets["bottom"]).all("u^2"),
            self.top,
        ]
        self.held = np.unique(np.concatenate(fixed))
        self.free = self.basis.complement_dofs(self.held)

    def strain(self, displacement: np.ndarray) -> torch.Tensor:
        gradient = sym_grad(self.basis.interpolate(displacement))
        components = np.zeros((6, *gradient.shape[2:]))
        components[0], components[1] = gradient[0, 0], gradient[1, 1]
        components[5] = math.sqrt(2.0) * gradient[0, 1]
        return torch.from_numpy(np.moveaxis(components, 0, -1).reshape(-1, 6).copy())

    def advance(
        self, moment: float, stretch: float, *, tangent: torch.Tensor | None = None, most: int = 25
    ) -> Increment:
        """Solve for the displacements at ``moment``, with the consistent tangent or another one."""
        start = time.perf_counter()
        span = (self.moment, moment)
        displacement = self.displacement.copy()
        step = np.zeros_like(displacement)
        step[self.top] = stretch - displacement[self.top]
        residuals: list[float] = []
        forces, matrix, state = self._assemble(displacement, span, tangent)
        for _ in range(most):
            # The first step also moves the top; later ones leave it where it is.
            step = skfem.solve(*skfem.condense(matrix, -forces, x=step, D=self.held))
            displacement += step
            step = np.zeros_like(step)
            forces, matrix, state = self._assemble(displacement, span, tangent)
            reactions = np.linalg.norm(forces[self.held])
            residuals.append(float(np.linalg.norm(forces[self.free]) / reactions))
            if residuals[-1] < TOLERANCE:
                break
        else:
            raise RuntimeError(f"no equilibrium at t = {moment} after {most} iterations")
        self.displacement, self.state, self.moment = displacement, state, moment
        return Increment(residuals, time.perf_counter() - start)

    def _assemble(
        self, displacement: np.ndarray, span: tuple[float, float], tangent: torch.Tensor | None
    ) -> tuple[np.ndarray, Any, State]:
        state, consistent = self.material.update(self.strain(displacement), self.state, span)
        used = consistent if tangent is None else tangent
        plane = used[:, PLANE][:, :, PLANE]
        forces = internal_forces.assemble(
            self.basis, stress=self.material.field(state["stress"][:, PLANE])
        )
        matrix = stiffness.assemble(self.basis, tangent=self.material.field(plane))
        return forces, matrix, state

    def copy_of_progress(self) -> tuple[np.ndarray, State, float]:
        return self.displacement.copy(), dict(self.state), self.moment

    def restore(self, progress: tuple[np.ndarray, State, float]) -> None:
        self.displacement, self.state, self.moment = progress


def von_mises(stress: torch.Tensor) -> torch.Tensor:
    mean = stress[:, :3].mean(1, keepdim=True)
    deviator = torch.cat([stress[:, :3] - mean, stress[:, 3:]], 1)
    return math.sqrt(1.5) * deviator.norm(dim=1)


def draw(problem: Plate, consistent: Increment, elastic: Increment, picture: str) -> None:
    """The stress field on the deformed plate, and both ways to the last equilibrium."""
    basis = problem.basis
    scalar = basis.with_element(skfem.ElementQuad1())
    field = problem.material.field(von_mises(problem.state["stress"]))
    nodal = scalar.project(field).clip(min=0.0)  # the projection undershoots where it is steep
    mesh = basis.mesh
    moved = mesh.p + 20.0 * problem.displacement[basis.nodal_dofs]
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.6), width_ratios=(1, 1.1))
    triangles = np.concatenate([mesh.t[[0, 1, 2]], mesh.t[[0, 2, 3]]], axis=1).T
    filled = left.tricontourf(*moved, triangles, nodal[scalar.nodal_dofs[0]], levels=20)
    figure.colorbar(filled, ax=left, label="von Mises stress in MPa", shrink=0.85)
    left.set_aspect("equal")
    left.set_axis_off()
    left.set_title("displacements 20 times enlarged", fontsize=10)
    for increment, label, colour in (
        (consistent, "consistent tangent (jacobian)", "tab:blue"),
        (elastic, "elastic tangent", "tab:orange"),
    ):
        count = range(1, len(increment.residuals) + 1)
        right.loglog(count, increment.residuals, "o-", markersize=3, label=label, color=colour)
    right.axhline(TOLERANCE, color="0.5", linewidth=0.8, linestyle=":")
    right.set(xlabel="iteration of the last increment", ylabel="unbalanced forces / reactions")
    right.legend(frameon=False)
    right.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(picture, dpi=150)
    plt.close(figure)


def compiled_model() -> Model:
    case = compile_input(
        PROJECT / "inputs" / "chaboche" / "model.i", Recipe(derivatives=(":",)), name="chaboche"
    )
    return Model(case.root)


def main() -> None:
    """Stretch and compress the plate, print the iterations and draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--divisions", type=int, default=20, help="elements along each direction")
    parser.add_argument("--increments", type=int, default=12, help="of one and a half half-cycles")
    arguments = parser.parse_args()
    OUTPUT.mkdir(exist_ok=True)

    print("compiling (a few minutes the first time) ...", flush=True)
    problem = Plate(compiled_model(), arguments.divisions)
    print(
        f"{problem.basis.mesh.nelements} elements, {problem.basis.N} unknowns, "
        f"{problem.material.count} quadrature points\n"
    )
    print(f"{'t in s':>7}{'stretch':>10}  unbalanced forces / reactions, by iteration")
    for number in range(1, arguments.increments + 1):
        before = problem.copy_of_progress()
        moment = 90.0 * number / arguments.increments
        stretch = STRETCH * math.sin(2.0 * math.pi * moment / 120.0)
        increment = problem.advance(moment, stretch)
        print(
            f"{moment:7.1f}{stretch:10.2e}  " + " ".join(f"{r:.0e}" for r in increment.residuals),
            flush=True,
        )
    after = problem.copy_of_progress()
    problem.restore(before)
    elastic = problem.advance(moment, stretch, tangent=problem.material.elastic_tangent(), most=400)
    problem.restore(after)

    print(f"\n{'tangent':14}{'iterations':>11}{'order':>7}{'s':>8}")
    for label, taken in (("consistent", increment), ("elastic", elastic)):
        print(f"{label:14}{len(taken.residuals):11}{taken.order:7.2f}{taken.seconds:8.2f}")
    picture = OUTPUT / "plate.png"
    draw(problem, increment, elastic, str(picture))
    print(f"\nstress field and convergence: {picture}")


if __name__ == "__main__":
    main()
