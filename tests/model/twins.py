"""One zoo of compiled models, each with its native twin and admissible inputs."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
import torch
from artifact_cache import CATALOGUE, CompiledCase, compiled
from driven_states import driven_states

from neml2_aoti_plugin import Model
from neml2_aoti_plugin.artifact.manifest import FusedDirection, ImplicitSegment

CASES = ("elasticity", "chaboche", "composed", "crystal", "rate_independent")
"""Cases whose inputs can be drawn."""

SETTINGS_IN_STUB = 7
"""The schema (neml2 3.0.4 to 3.0.6) whose metadata hold no solver settings."""

Tensors = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Twin:
    """A compiled model, the native one, and how to draw inputs for both."""

    case: CompiledCase
    model: Model
    native: torch.nn.Module

    def inputs(self, *batch: int, seed: int = 0) -> Tensors:
        """Moderate states of every row: strains of 1e-3, a time increment of one to two seconds."""
        generator = torch.Generator().manual_seed(seed)

        def draw(*shape: int) -> torch.Tensor:
            return torch.rand(shape, dtype=torch.float64, generator=generator)

        values: Tensors = {}
        for variable in self.model.manifest.inputs:
            shape = (*batch, *(variable.sub_batch_shape or ()), *variable.base_shape)
            values[variable.public_name] = SCALES.get(variable.public_name, 1e-3) * (
                draw(*shape) - 0.3
            )
        if "t" in values:
            values["t~1"] = 10.0 + draw(*batch)
            values["t"] = values["t~1"] + 1.0 + draw(*batch)
        for name, value in values.items():
            if name.startswith(("equivalent_plastic_strain", "slip_hardening")):
                values[name] = value.abs()
        return values

    def run_native(self, inputs: Tensors) -> Tensors:
        """Outputs of the native model for inputs with one batch axis, and the same guesses.

        The native solver goes on until the slowest row has converged, so its answer for a row
        depends on the others: only one row at a time can be compared to rounding.
        """
        inputs = inputs_read(self.model, inputs)
        arguments = []
        for variable in self.model.manifest.inputs:
            wrapper = self.native.input_spec[variable.public_name]
            sub = len(variable.sub_batch_shape or ())
            arguments.append(wrapper(inputs[variable.public_name], sub_batch_ndim=sub))
        with double_precision():
            results = self.native(*arguments)
        results = results if isinstance(results, tuple) else (results,)
        return {
            name: value.data.detach()
            for name, value in zip(self.native.output_spec, results, strict=True)
        }


@dataclass(frozen=True)
class DrivenTwin(Twin):
    """Twins at states of a real history: drawn ones may have no solution."""

    states: Tensors
    """Inputs of every call of the native driver, one row per call and point."""

    def inputs(self, *batch: int, seed: int = 0) -> Tensors:
        """Some of the states, of any steps and points."""
        known = len(next(iter(self.states.values())))
        generator = torch.Generator().manual_seed(seed)
        chosen = torch.randperm(max(known, math.prod(batch)), generator=generator)
        chosen = chosen[: math.prod(batch)] % known
        return {
            name: value[chosen].reshape(*batch, *value.shape[1:])
            for name, value in self.states.items()
        }


SCALES = {
    "displacement_gradient": 4e-3,
    "temperature": 50.0,
    "stress~1": 20.0,
    "X1~1": 5.0,
    "X2~1": 5.0,
    "strain": 4e-3,
    "deformation_rate": 2e-4,
    "vorticity": 2e-4,
    "elastic_strain~1": 2e-4,
    "orientation~1": 0.2,
    "slip_hardening~1": 5.0,
}
"""Consistent units of the inputs: MPa, K, s."""


def open_twin(name: str) -> Twin:
    import neml2

    case = compiled(name)
    with double_precision():
        native = neml2.load_model(str(case.model_file), "model")
        model = open_model(case)
        if name not in CATALOGUE:
            return Twin(case, model, native)
        return DrivenTwin(case, model, native, driven_states(case.model_file, "driver", model))


def open_model(case: CompiledCase) -> Model:
    """A compiled model of its own, under the solver settings of the input file."""
    model = Model(case.root)
    if model.manifest.schema_version != SETTINGS_IN_STUB:
        return model
    import neml2

    return neml2.load_model(str(case.stub), "model")._inner


def reads_no_guesses(model: Model) -> bool:
    """Whether it is of a release that lists guesses among the inputs and starts at zero."""
    return model.manifest.schema_version <= SETTINGS_IN_STUB


def inputs_read(model: Model, inputs: Tensors) -> Tensors:
    """``inputs`` with the guesses that the compiled model starts from."""
    if not reads_no_guesses(model):
        return inputs
    segments = model.manifest.segments
    implicit = [segment for segment in segments if isinstance(segment, ImplicitSegment)]
    unknowns = {slot.name for segment in implicit for slot in segment.unknowns}
    return {
        name: torch.zeros_like(value) if name in unknowns else value
        for name, value in inputs.items()
    }


@contextmanager
def double_precision() -> Iterator[None]:
    """float64 as torch's default, as under ``neml2-run``."""
    previous = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(previous)


def scaled_difference(found: torch.Tensor, expected: torch.Tensor) -> float:
    """Largest difference relative to the largest entry of what is expected."""
    assert found.shape == expected.shape, (found.shape, expected.shape)
    if expected.numel() == 0:
        return 0.0
    scale = expected.abs().max().item() or 1.0
    return (found - expected).abs().max().item() / scale


def require_same_bits(model: Model) -> None:
    """Skip where the last digits of a row depend on its place: ``docs/running.md`` says why."""
    for segment in model.manifest.segments:
        if isinstance(segment, ImplicitSegment) and isinstance(segment.direction, FusedDirection):
            pytest.skip("graphs of neml2 up to 3.0.6 factorise themselves, and round by place")


def sensitivity_scale(output: torch.Tensor, input: torch.Tensor, block: torch.Tensor) -> float:
    """The larger of the block and of what the ranges of output and input suggest."""
    ranges = output.abs().max().item() / input.abs().max().item()
    return max(block.abs().max().item(), ranges)
