"""What users may rely on: names, and what their operations take."""

from __future__ import annotations

import inspect

import pytest

import neml2_aoti_plugin
from neml2_aoti_plugin import AOTIModel, Model, arrays, jax, solves

EXPORTED = {
    "AOTIError",
    "AOTIModel",
    "ArtifactError",
    "ArtifactNotFoundError",
    "ConvergenceError",
    "DerivativeNotCompiledError",
    "InputError",
    "InputTypeError",
    "IntegrityError",
    "LeafRequestError",
    "Model",
    "UnsupportedFeatureError",
    "UnsupportedSchemaError",
    "__version__",
    "activate",
}
CALL = ("inputs", "param_overrides", "solves")
NEWTON = ("atol", "rtol", "miters", "ls_type", "ls_max_iters", "ls_cutback", "ls_c")

OPERATIONS = {
    "__init__": ("path", "device", "dtype", "lock"),
    "differentiable_jacobian": ("inputs",),
    "forward": CALL,
    "forward_natural": CALL,
    "jacobian": CALL,
    "jvp": ("inputs", "tangents", "param_overrides", "solves"),
    "named_parameters": (),
    "param_jacobian": CALL,
    "param_vjp": ("inputs", "cotangents", "param_overrides", "solves"),
    "set_autograd": ("recompute",),
    "set_execution": ("chunk_rows", "threads", "max_corrections"),
    "set_on_failure": ("action", "folder"),
    "set_parameter": ("name", "value"),
    "set_solver_config": (*NEWTON, "substep_del_tol"),
    "trainable_parameters": ("names",),
}
"""Of :class:`Model`, with the names of their arguments."""

PROPERTIES = {
    "device",
    "dtype",
    "input_base_shapes",
    "input_names",
    "manifest",
    "output_base_shapes",
    "output_names",
    "parameter_base_shapes",
}


def test_package_exports_just_these_names() -> None:
    assert set(neml2_aoti_plugin.__all__) == EXPORTED
    assert [name for name in EXPORTED if not hasattr(neml2_aoti_plugin, name)] == []


def _arguments(function: object) -> tuple[str, ...]:
    assert callable(function)
    return tuple(name for name in inspect.signature(function).parameters if name != "self")


def test_model_has_just_these_members() -> None:
    members = {name for name in vars(Model) if not name.startswith("_")}

    assert members == PROPERTIES | OPERATIONS.keys() - {"__init__"}


@pytest.mark.parametrize("operation", sorted(OPERATIONS))
def test_operations_of_model_take_these_arguments(operation: str) -> None:
    assert _arguments(getattr(Model, operation)) == OPERATIONS[operation]


@pytest.mark.parametrize("operation", ["jvp", "jacobian", "param_jacobian", "param_vjp"])
def test_operations_of_the_typed_model_take_the_same_tensors(operation: str) -> None:
    own = _arguments(getattr(AOTIModel, operation))

    assert own == tuple(name for name in OPERATIONS[operation] if name != "solves")


@pytest.mark.parametrize("operation", ["forward", "jvp", "jacobian", "param_jacobian", "param_vjp"])
def test_operations_on_arrays_take_what_those_on_tensors_take(operation: str) -> None:
    assert _arguments(getattr(arrays.ArrayModel, operation)) == OPERATIONS[operation]


def test_modules_beside_have_these_names() -> None:
    assert _arguments(arrays.ArrayModel.__init__) == ("model", "kind")
    assert _arguments(jax.jax_function) == ("model",)
    assert solves.Iterate._fields == (
        "residual_norm",
        "initial_residual_norm",
        "linear_iterations",
        "missed_linear_solves",
    )
    assert set(solves.SolveRecord.__dataclass_fields__) == {
        "absolute_tolerance",
        "attempts",
        "converged_mask",
        "corrections",
        "has_tangents",
        "initial_residual_norms",
        "iterations",
        "linear_iterations",
        "max_iterations",
        "missed_linear_solves",
        "relative_tolerance",
        "residual_norms",
        "segment",
        "status",
        "substeps",
        "worst_linear_excess",
    }
