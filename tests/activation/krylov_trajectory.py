"""Run the model of viscoplastic.i with direct and iterative linear solvers, interpreted.

Writes the input file next to where it runs and prints JSON: histories under
``"<variant> <number of points>"``, tangents under ``"tangent <variant> <number of points>"`` and
gradients under ``"gradient <variant> <number of points>"``.
"""

from __future__ import annotations

import json
from pathlib import Path

import neml2
import neml2.aoti
import torch
from neml2.types import SR2
from trajectory import AMPLITUDES, BATCHES, INCREMENT, history

torch.set_default_dtype(torch.float64)

SOURCE = Path(__file__).with_name("viscoplastic.i")

# Linear solvers by name of the variant, and the equation system that each one solves. The tight
# ones also serve for sensitivities, which are as accurate as their linear solve.
LINEAR_SOLVERS = {
    "direct": ("DenseLU", "system", ""),
    "gmres": ("GMRES", "system", ""),
    "gmres_restarted": ("GMRES", "system", "restart = 5"),
    "gmres_blocks_once": (
        "GMRES",
        "system",
        "preconditioner = 'blocks'\n cache_strategy = chord",
    ),
    "gmres_full_sometimes": (
        "GMRES",
        "system",
        "preconditioner = 'full'\n cache_strategy = max_its\n cache_max_its = 2",
    ),
    "gmres_groups": ("GMRES", "grouped", ""),
    "gmres_tight": ("GMRES", "system", "rel_tol = 1e-12"),
    "bicgstab": ("BiCGStab", "system", ""),
    "bicgstab_full_once": (
        "BiCGStab",
        "system",
        "preconditioner = 'full'\n cache_strategy = chord",
    ),
    "bicgstab_groups": ("BiCGStab", "grouped", ""),
    "bicgstab_tight": ("BiCGStab", "system", "rel_tol = 1e-12"),
}
SENSITIVITIES = ("direct", "gmres_tight", "bicgstab_tight")

SYSTEM = """
  [grouped]
    type = NonlinearSystem
    model = 'residual'
    unknowns = 'plastic_strain; equivalent_plastic_strain'
  []
"""
PRECONDITIONERS = """
  [blocks]
    type = BlockJacobiPreconditioner
  []
  [full]
    type = FullPreconditioner
  []
"""
UPDATE = """
  [{name}]
    type = ImplicitUpdate
    equation_system = '{system}'
    solver = 'newton_{name}'
    predictor = 'predictor'
    {sensitivities}
  []
"""
SOLVER = """
  [newton_{name}]
    type = Newton
    linear_solver = 'linear_{name}'
    abs_tol = 1e-12
    rel_tol = 1e-12
    max_its = 50
  []
  [linear_{name}]
    type = {type}
    {options}
  []
"""


def write_input(path: Path) -> Path:
    updates, solvers = "", PRECONDITIONERS
    for name, (type_name, system, options) in LINEAR_SOLVERS.items():
        kinds = ("input", "param") if name in SENSITIVITIES else ()
        sensitivities = "\n".join(f"{kind}_sensitivity_solver = 'linear_{name}'" for kind in kinds)
        updates += UPDATE.format(name=name, system=system, sensitivities=sensitivities)
        solvers += SOLVER.format(name=name, type=type_name, options=options)
    text = SOURCE.read_text()
    for section, blocks in (("Models", updates), ("EquationSystems", SYSTEM), ("Solvers", solvers)):
        text = text.replace(f"[{section}]\n", f"[{section}]\n{blocks}", 1)
    path.write_text(text)
    return path


def arguments(model: torch.nn.Module, strain: torch.Tensor) -> list[object]:
    state = {"strain": strain, "t": torch.tensor(INCREMENT), "t~1": torch.tensor(0.0)}
    return [
        wrapper(state.get(name, torch.zeros(wrapper.BASE_SHAPE)))
        for name, wrapper in model.input_spec.items()
    ]


def hexadecimal(values: torch.Tensor) -> list[list[str]]:
    return [[number.hex() for number in values.detach().flatten().tolist()]]


def tangent(model: torch.nn.Module, strain: torch.Tensor) -> list[list[str]]:
    """The plastic strain by the strain: the solver of input sensitivities."""
    directions = SR2(torch.eye(6).unsqueeze(1))
    results = model(*arguments(model, strain), v={"strain": {"strain": directions}})
    return hexadecimal(results[-1]["plastic_strain"]["strain"].data)


def gradient(model: torch.nn.Module, strain: torch.Tensor) -> list[list[str]]:
    """A function of the plastic strain by the strain: the solver of adjoint sensitivities."""
    strain = strain.clone().requires_grad_()
    plastic_strain = model(*arguments(model, strain))[0].data
    (result,) = torch.autograd.grad((1e3 * plastic_strain).square().sum(), strain)
    return hexadecimal(result)


def main() -> None:
    path = write_input(Path("krylov.i"))
    results: dict[str, object] = {}
    for name in LINEAR_SOLVERS:
        model = neml2.load_model(path, name)
        for batch in BATCHES:
            results[f"{name} {batch}"] = history(model, batch)
            # neml2's adjoint with an iterative solver needs a solution with a batch axis: not one
            # that converged at an unbatched guess, as a single elastic point does.
            if name in SENSITIVITIES and batch > 0:
                strain = torch.tensor(AMPLITUDES[::-1][:batch])
                results[f"tangent {name} {batch}"] = tangent(model, strain)
                results[f"gradient {name} {batch}"] = gradient(model, strain)
    print(json.dumps(results, indent=0))


if __name__ == "__main__":
    main()
