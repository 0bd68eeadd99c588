"""Artifacts as five releases of neml2 wrote them, measured against the native model.

Run as a program, it prints the table of ``docs/compatibility.md``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

sys.path.insert(
    0, str(Path(__file__).parent.parent)
)  # where pytest finds these, a program does not

import torch
from artifact_cache import FEATURES, CompiledCase, compiled, compiled_feature
from differences import differences, parameter_differences
from features import increments
from twins import Tensors, Twin, double_precision, open_twin, scaled_difference, sensitivity_scale

from neml2_aoti_plugin import Model
from neml2_aoti_plugin.solves import SolveRecord

WRITERS = MappingProxyType({"3.0.0": 2, "3.0.3": 3, "3.0.6": 7, "3.0.7": 12, "3.1.0": 14})
"""Release and the metadata schema that it writes."""

VALUE_TOLERANCE = 1e-10
"""Both sides are solved to rounding, from guesses that differ by release."""

DERIVATIVE_TOLERANCE = 1e-6
"""Central differences of smooth functions in double precision."""

ROWS = 4
HARD = 0.05
"""A strain increment that is beyond :data:`UPDATES` Newton updates."""
UPDATES = 9

_OLD = MappingProxyType({"3.0.0": "schema2", "3.0.3": "schema3"})
_LATER = MappingProxyType({"3.0.6": "schema7", "3.0.7": "schema12"})
_NOT_COMPILED = "-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A model of the table: where it is, and what each release made of it."""

    case: str
    variants: Mapping[str, str]
    """By writer; a release that is not listed cannot compile it."""
    by: tuple[str, ...] = ()
    """The inputs that derivatives are taken by, where some of its artifacts refuse the others."""

    @property
    def is_feature(self) -> bool:
        return (FEATURES / f"{self.case}.i").exists()

    def compiled(self, writer: str) -> CompiledCase:
        compile_case = compiled_feature if self.is_feature else compiled
        return compile_case(self.case, variant=self.variants[writer])


TABLE = MappingProxyType(
    {
        "elasticity, modulus promoted": Row(
            case="elasticity", variants={**_OLD, **_LATER, "3.1.0": "promoted"}
        ),
        "rate-independent plasticity": Row(
            case="rate_independent", variants={**_OLD, **_LATER, "3.1.0": "default"}
        ),
        "Chaboche viscoplasticity": Row(
            case="chaboche", variants={**_OLD, **_LATER, "3.1.0": "default"}
        ),
        "three stages, parameters promoted": Row(
            case="composed", variants={**_OLD, **_LATER, "3.1.0": "promoted"}
        ),
        "five sites, explicit": Row(
            case="sites", variants={"3.0.3": "schema3", **_LATER, "3.1.0": "default"}
        ),
        "three sites under one load, implicit": Row(
            case="two_groups",
            variants={"3.0.3": "schema3", **_LATER, "3.1.0": "default"},
            by=("total",),
        ),
        "viscoplasticity, GMRES": Row(
            case="perzyna", variants={"3.0.7": "gmres_schema12", "3.1.0": "gmres"}
        ),
        "viscoplasticity, substeps": Row(
            case="perzyna", variants={"3.0.7": "substepped_schema12", "3.1.0": "substepped"}
        ),
    }
)

CELLS = tuple((model, writer) for model, row in TABLE.items() for writer in row.variants)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """The worst relative differences of one artifact."""

    values: float
    """From the native model."""
    derivatives: float
    """From central differences."""


def measure(model: str, writer: str, twin: Twin) -> Figures:
    """``twin``: what :func:`reference` gives for ``model``."""
    artifact = open_artifact(model, writer)
    inputs = with_guesses(artifact, states(model, twin))
    return Figures(
        values=_worst_value(artifact, inputs, twin),
        derivatives=_worst_derivative(artifact, inputs, TABLE[model].by),
    )


def open_artifact(model: str, writer: str) -> Model:
    """Solved further than the artifact says, so that what is left is not the solver's tolerance."""
    artifact = Model(TABLE[model].compiled(writer).metadata)
    assert artifact.manifest.schema_version == WRITERS[writer]
    updates = UPDATES if _is_substepped(artifact) else 60
    artifact.set_solver_config(1e-13, 1e-12, updates, "BACKTRACKING", 1, 2.0, 1e-3)
    return artifact


def reference(model: str) -> Twin:
    """The native model, and an artifact of the installed release that says what its inputs are."""
    import neml2

    row = TABLE[model]
    if row.is_feature:
        case = compiled_feature(row.case, "promoted" if row.case == "perzyna" else "default")
        with double_precision():
            native = neml2.load_model(str(case.model_file), "model")
        twin = Twin(case, Model(case.root), native)
    else:
        twin = open_twin(row.case)
    for part in twin.native.modules():
        if solver := getattr(part, "solver", None):
            solver.atol, solver.rtol, solver.miters = 1e-13, 1e-12, 60
        if hasattr(part, "incremental_variables"):
            part.incremental_variables = []  # a native model that has any refuses to run
    return twin


def states(model: str, twin: Twin) -> Tensors:
    if TABLE[model].case == "perzyna":
        is_hard = "substeps" in model
        return increments(ROWS, strain=HARD if is_hard else 2e-3, seed=1)
    return twin.inputs(ROWS)


def with_guesses(model: Model, inputs: Tensors) -> Tensors:
    """The inputs of this model, zero where ``inputs`` has none: some releases also list the
    unknowns, and some a history of forces that no graph reads."""
    rows = next(iter(inputs.values())).shape[0]
    guesses = {
        variable.public_name: torch.zeros(
            (rows, *(variable.sub_batch_shape or ()), *variable.base_shape), dtype=torch.float64
        )
        for variable in model.manifest.inputs
        if variable.public_name not in inputs
    }
    return {name: (inputs | guesses)[name] for name in model.input_names}


# --- values


def _worst_value(model: Model, inputs: Tensors, twin: Twin) -> float:
    worst = 0.0
    for row in range(ROWS):
        # The native model iterates all its rows until the slowest has converged.
        alone = {name: value[row : row + 1] for name, value in inputs.items()}
        solves: list[SolveRecord] = []
        found = model.forward(alone, solves=solves)
        expected = _native_in_parts(twin, alone, solves)
        worst = max(
            worst,
            *(
                scaled_difference(found[name], value.expand_as(found[name]))
                for name, value in expected.items()
                if name in found
            ),
        )
    return worst


def _native_in_parts(twin: Twin, inputs: Tensors, solves: list[SolveRecord]) -> Tensors:
    """What the native model, which knows no substeps, gives over those that were taken."""
    parts = [(a.begin, a.end) for solve in solves for a in solve.attempts if not a.failed]
    if len(parts) < 2:
        return twin.run_native(with_guesses(twin.model, inputs))
    outputs: Tensors = {}
    state = dict(inputs)
    for begin, end in parts:
        # 3.0.7 takes an incremental variable without a history for the increment itself.
        state["strain"] = (
            _between(inputs, "strain", end)
            if "strain~1" in inputs
            else inputs["strain"] * (end - begin)
        )
        state["t"], state["t~1"] = _between(inputs, "t", end), _between(inputs, "t", begin)
        outputs = twin.run_native(with_guesses(twin.model, state))
        state["plastic_strain~1"] = outputs["plastic_strain"]
    if "strain~1" not in inputs:
        del outputs["stress"]  # of the last part, where the compiled one is of the whole strain
    return outputs


def _between(inputs: Tensors, force: str, fraction: float) -> torch.Tensor:
    return inputs[f"{force}~1"] + fraction * (inputs[force] - inputs[f"{force}~1"])


# --- derivatives


def _worst_derivative(model: Model, inputs: Tensors, by: tuple[str, ...]) -> float:
    outputs, blocks = _columns(model, inputs, by) if by else model.jacobian(inputs)
    worst = _errors(outputs, blocks, inputs, lambda name: differences(model, inputs, name))
    if model.manifest.parameter_derivatives:
        outputs, blocks = model.param_jacobian(inputs)
        values = dict(model.named_parameters())
        worst += _errors(
            outputs, blocks, values, lambda name: parameter_differences(model, inputs, name)
        )
    return max(worst)


def _columns(
    model: Model, inputs: Tensors, by: tuple[str, ...]
) -> tuple[Tensors, dict[str, Tensors]]:
    """What ``jacobian`` gives, by these inputs alone and a component at a time."""
    outputs: Tensors = {}
    blocks: dict[str, Tensors] = {}
    for name in by:
        value = inputs[name]
        pushed = []
        for component in torch.eye(value[0].numel(), dtype=torch.float64):
            tangent = component.reshape(value[0].shape).expand_as(value)
            outputs, derivatives = model.jvp(inputs, {name: tangent})
            pushed.append(derivatives)
        for output in pushed[0]:
            columns = torch.stack([each[output] for each in pushed], dim=-1)
            shape = (*columns.shape[:-1], *value.shape[1:])
            blocks.setdefault(output, {})[name] = columns.reshape(shape)
    return outputs, blocks


def _errors(
    outputs: Tensors,
    blocks: Mapping[str, Tensors],
    columns: Mapping[str, torch.Tensor],
    differences_by: Callable[[str], Tensors],
) -> list[float]:
    by_column = {name: differences_by(name) for name in {n for row in blocks.values() for n in row}}
    errors = []
    for output, row in blocks.items():
        for name, block in row.items():
            expected = by_column[name][output]
            scale = max(sensitivity_scale(outputs[output], columns[name], block), 1e-12)
            errors.append((block - expected).abs().max().item() / scale)
    return errors


def _is_substepped(model: Model) -> bool:
    return any(getattr(each, "max_substepping_level", 0) for each in model.manifest.segments)


# --- the table


def table(figures: Mapping[tuple[str, str], Figures]) -> str:
    """In Markdown, a row per model and a column per release: values / derivatives."""
    header = ["model", *WRITERS]
    rows = [
        [
            model,
            *(
                shown(figures[model, writer]) if (model, writer) in figures else _NOT_COMPILED
                for writer in WRITERS
            ),
        ]
        for model in TABLE
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in [header, ["---"] * len(header), *rows])


def shown(figures: Figures) -> str:
    return f"{figures.values:.0e} / {figures.derivatives:.0e}"


def main() -> int:
    """Measure every cell and print the table."""
    found: dict[tuple[str, str], Figures] = {}
    for model, row in TABLE.items():
        twin = reference(model)
        for writer in row.variants:
            found[model, writer] = measure(model, writer, twin)
    print(table(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
