"""The compiled runtime, guarded.

A library built against one torch misreads the tensors of another, so the versions are compared
before the library is opened, and a mismatch is an ImportError that says what to do. So is a Python
whose threads run without the global interpreter lock, by which Python objects are guarded here.
"""

from __future__ import annotations

import sys

import torch

_REBUILD = "pip install --no-build-isolation --force-reinstall --no-deps ."


def _public(version: str) -> str:
    """Without the build label: 2.13.0+cpu and 2.13.0+cu130 share one ABI."""
    return version.partition("+")[0]


def _check_torch() -> None:
    try:
        # Written when the library is built, so not among the sources.
        from neml2_aoti_plugin._core import _built_with  # pyright: ignore[reportAttributeAccessIssue]
    except ImportError as error:
        raise ImportError(
            "neml2_aoti_plugin's compiled runtime has not been built here. In its source folder, "
            f"build it against the installed torch {torch.__version__} with: {_REBUILD}"
        ) from error
    if _public(_built_with.TORCH) != _public(torch.__version__):
        raise ImportError(
            f"neml2_aoti_plugin's compiled runtime was built with torch {_built_with.TORCH}, but "
            f"torch {torch.__version__} is installed, whose tensors it would misread. In the "
            f"source folder of the plugin, rebuild it with: {_REBUILD}"
        )


def _check_interpreter_lock() -> None:
    """After the import: a free-threaded Python then takes the lock, unless it is told not to."""
    is_enabled = getattr(sys, "_is_gil_enabled", None)  # Python 3.13 and later
    if is_enabled is not None and not is_enabled():
        raise ImportError(
            "neml2_aoti_plugin needs the global interpreter lock, which this free-threaded Python "
            "was told to do without. Start it without PYTHON_GIL=0 and -X gil=0; threads still "
            "run graphs side by side, since calls release the lock."
        )


_check_torch()

from neml2_aoti_plugin._core._runtime import (  # noqa: E402  (only after the check)
    BUILT_WITH_TORCH,
    BoundaryVariable,
    Cell,
    CellSensitivity,
    ForwardSegment,
    FusedDirection,
    FusedParameterSensitivity,
    FusedSensitivity,
    Given,
    Group,
    ImplicitSegment,
    InitialGuess,
    InputDerivativeGraph,
    InputPair,
    KrylovDirection,
    KrylovMethod,
    KrylovSettings,
    LineSearch,
    Model,
    ModelDescription,
    NewtonSettings,
    OperatorDirection,
    OperatorParameterSensitivity,
    OperatorSensitivity,
    Parameter,
    ParameterAdjointGraph,
    ParameterDerivativeGraph,
    ParameterPair,
    Preconditioner,
    PreconditionerCache,
    Predictor,
    PredictorFeedback,
    Recording,
    Role,
    Slot,
    Structure,
    accelerate_opaque_pow,
    define_opaque_pow,
    exchange_functions,
    exchange_kernels,
    has_opaque_pow,
)

_check_interpreter_lock()

__all__ = [
    "BUILT_WITH_TORCH",
    "BoundaryVariable",
    "Cell",
    "CellSensitivity",
    "ForwardSegment",
    "FusedDirection",
    "FusedParameterSensitivity",
    "FusedSensitivity",
    "Given",
    "Group",
    "ImplicitSegment",
    "InitialGuess",
    "InputDerivativeGraph",
    "InputPair",
    "KrylovDirection",
    "KrylovMethod",
    "KrylovSettings",
    "LineSearch",
    "Model",
    "ModelDescription",
    "NewtonSettings",
    "OperatorDirection",
    "OperatorParameterSensitivity",
    "OperatorSensitivity",
    "Parameter",
    "ParameterAdjointGraph",
    "ParameterDerivativeGraph",
    "ParameterPair",
    "Preconditioner",
    "PreconditionerCache",
    "Predictor",
    "PredictorFeedback",
    "Recording",
    "Role",
    "Slot",
    "Structure",
    "accelerate_opaque_pow",
    "define_opaque_pow",
    "exchange_functions",
    "exchange_kernels",
    "has_opaque_pow",
]
