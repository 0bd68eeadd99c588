"""The same native composition around a leaf that is native or compiled, and tangents for it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import neml2
import neml2.factory
import torch
from artifact_cache import PROJECT, CompiledCase, Recipe, compile_input
from neml2.models.common.ComposedModel import ComposedModel

from neml2_aoti_plugin import AOTIModel

EXAMPLE = PROJECT / "examples" / "composed"
ALL_DERIVATIVES = Recipe(target=("--model", "flow"), derivatives=(":",))

Sensitivities = dict[str, dict[str, torch.Tensor]]

AROUND = """
[Models]
  [strain_of_parts]
    type = SR2LinearCombination
    from = 'strain_of_one_part strain_of_the_other'
    weights = '0.75 2'
    to = 'strain'
  []
  [von_mises]
    type = SR2Invariant
    invariant_type = 'VONMISES'
    tensor = 'stress'
    invariant = 'von_mises'
  []
[]
"""


def flow_rule() -> CompiledCase:
    """The leaf of the example: nonlinear, three inputs, two outputs, all derivatives."""
    return compile_input(EXAMPLE / "flow.i", ALL_DERIVATIVES, name="composed_flow")


def native_flow_rule() -> torch.nn.Module:
    model: torch.nn.Module = neml2.load_model(str(EXAMPLE / "flow.i"), "flow")
    return model


def surrounded(leaf: torch.nn.Module) -> ComposedModel:
    """``leaf``, from strain to stress, between native models: the strain is a weighted sum of two,
    and the stress is followed by its von Mises invariant."""
    factory = neml2.factory.load_string(AROUND)
    models = [factory.get_model("strain_of_parts"), leaf, factory.get_model("von_mises")]
    return ComposedModel(models, additional_outputs=["strain", *leaf.output_spec])


def compiled_leaf(case: CompiledCase) -> AOTIModel:
    return AOTIModel(case.root, chain_rule=True)


SCALES = {"strain": 2e-3, "strain_of_one_part": 1e-3, "strain_of_the_other": 1e-3}
STRESSES = {"stress": 800.0, "stress~1": 20.0, "X1~1": 5.0, "X2~1": 5.0}


def draw(model: torch.nn.Module, *batch: int, seed: int = 0) -> dict[str, torch.Tensor]:
    """Moderate inputs in MPa, s and K, each with the batch ``batch``."""
    generator = torch.Generator().manual_seed(seed)

    def uniform(*shape: int) -> torch.Tensor:
        return torch.rand(shape, dtype=torch.float64, generator=generator)

    values = {
        name: (SCALES | STRESSES).get(name, 1e-3) * (uniform(*batch, *kind.BASE_SHAPE) - 0.4)
        for name, kind in model.input_spec.items()
    }
    for name, value in values.items():
        if name.startswith("equivalent_plastic_strain"):
            values[name] = value.abs()
    values |= {"t": 12.0 + uniform(*batch), "t~1": 10.0 + uniform(*batch)}
    values["temperature"] = 450.0 + 500.0 * uniform(*batch)
    return {name: values[name] for name in model.input_spec}


def typed(model: torch.nn.Module, values: Mapping[str, torch.Tensor]) -> list[Any]:
    return [kind(values[name]) for name, kind in model.input_spec.items()]


def tangent(kind: type[Any], data: torch.Tensor, seed_ndim: int = 1) -> Any:
    """A tangent whose ``seed_ndim`` first axes count directions."""
    return kind(
        data, k_ndim=seed_ndim, k_state=("full",) * seed_ndim, k_pairing=(None,) * seed_ndim
    )


def identity(kind: type[Any], batch_ndim: int) -> Any:
    """One direction per component, the same for all rows: ``(components, 1, ..., *base)``."""
    components = torch.Size(kind.BASE_SHAPE).numel()
    eye = torch.eye(components, dtype=torch.float64)
    return tangent(kind, eye.reshape(components, *(1,) * batch_ndim, *kind.BASE_SHAPE))


def identities(model: torch.nn.Module, batch_ndim: int) -> dict[str, dict[str, Any]]:
    """A seed of its own for every input."""
    return {
        name: {f"d_{name}": identity(kind, batch_ndim)} for name, kind in model.input_spec.items()
    }


def push_forward(model: torch.nn.Module, arguments: list[Any], v: Mapping[str, Any]) -> Any:
    """Outputs by name, and tangents by output and seed."""
    with torch.no_grad():
        *outputs, v_out = model(*arguments, v=v)
    return dict(zip(model.output_spec, outputs, strict=True)), v_out


LARGEST_INPUT = 1e3


def assert_same_tangents(
    found: Mapping[str, Mapping[str, Any]],
    expected: Mapping[str, Mapping[str, Any]],
    outputs: Mapping[str, Any],
    tolerance: float,
) -> int:
    """Compare relative to the largest entry of each block, or to what the range of the output
    suggests where that is more; absent means zero. Returns how many blocks were compared that are
    not zero."""
    compared = 0
    pairs = {
        (output, seed) for side in (found, expected) for output in side for seed in side[output]
    }
    for output, seed in sorted(pairs):
        ours, theirs = (side.get(output, {}).get(seed) for side in (found, expected))
        if ours is None or theirs is None:
            present = ours if theirs is None else theirs
            assert torch.count_nonzero(present.data) == 0, (output, seed)
            continue
        assert type(ours) is type(theirs), (output, seed)
        assert ours.k_ndim == theirs.k_ndim, (output, seed)
        largest = theirs.data.abs().max().item()
        scale = max(largest, outputs[output].data.abs().max().item() / LARGEST_INPUT)
        difference = (ours.data - theirs.data).abs().max().item()
        assert difference <= tolerance * scale, (output, seed, difference, scale)
        compared += largest > 0
    return compared


def material(folder: Path, flow: CompiledCase | None, *, chain_rule: bool = True) -> Any:
    """The input file of the example, shortened to 20 steps, around the compiled flow rule or
    neml2's own."""
    name = "native.i" if flow is None else "compiled.i"
    replaced = {
        "cycles = 3": "cycles = 1",
        "steps = 120": "steps = 20",
        "!include ": f"!include {EXAMPLE}/",
    }
    if flow is not None:
        replaced["'output/flow'"] = f"'{flow.root}'"
        replaced["chain_rule = true"] = f"chain_rule = {str(chain_rule).lower()}"
    text = (EXAMPLE / name).read_text()
    for old, new in replaced.items():
        assert old in text
        text = text.replace(old, new)
    path = folder / name
    path.write_text(text)
    return neml2.factory.load_input(path)
