"""What is asked of a model: the operations that both runtimes have under the same name."""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType
from typing import Any

import torch

from suite.blocks import Call
from suite.models import BenchModel, Tensors

Prepare = Callable[[Any, BenchModel, Tensors], Call]
"""From a runtime's model and the inputs to a call without arguments."""


def forward(runtime: Any, model: BenchModel, inputs: Tensors) -> Call:
    return lambda: runtime.forward(inputs)


def jacobian(runtime: Any, model: BenchModel, inputs: Tensors) -> Call:
    """Outputs and all derivative blocks: forward and jacobian in one."""
    return lambda: runtime.jacobian(inputs)


def jvp(runtime: Any, model: BenchModel, inputs: Tensors) -> Call:
    """Outputs and their derivatives along one direction of the driving input."""
    driven = inputs[model.driving]
    # No symmetry of the load makes a derivative vanish, of which only rounding would be compared.
    weights = torch.linspace(1.0, 2.0, driven[0].numel(), dtype=driven.dtype)
    tangents = {model.driving: weights.reshape(driven.shape[1:]).expand_as(driven).contiguous()}
    return lambda: runtime.jvp(inputs, tangents)


def param_vjp(runtime: Any, model: BenchModel, inputs: Tensors) -> Call:
    """The gradient of a weighted sum of the stress with respect to one parameter.

    The weights differ, as the plain sum over a deviatoric stress vanishes.
    """
    weights = torch.linspace(1.0, 2.0, 6, dtype=torch.float64)
    cotangents = {"stress": weights.repeat(len(inputs[model.driving]), 1)}
    return lambda: runtime.param_vjp(inputs, cotangents)


OPERATIONS: MappingProxyType[str, Prepare] = MappingProxyType(
    {"forward": forward, "jacobian": jacobian, "jvp": jvp, "param_vjp": param_vjp}
)


def can(model: BenchModel, operation: str) -> bool:
    """Whether the model can be compiled for the operation."""
    if operation == "param_vjp":
        return model.parameter is not None
    return operation == "forward" or model.has_derivatives
