"""Stub of the compiled module; tests/test_stub.py compares the two.

The description classes take what :mod:`neml2_aoti_plugin.artifact.manifest` describes, keyword by
keyword.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch

BUILT_WITH_TORCH: str

class Structure:
    __members__: ClassVar[dict[str, Structure]]
    DENSE: ClassVar[Structure]
    BLOCK: ClassVar[Structure]

class LineSearch:
    __members__: ClassVar[dict[str, LineSearch]]
    BACKTRACKING: ClassVar[LineSearch]
    STRONG_WOLFE: ClassVar[LineSearch]

class InitialGuess:
    __members__: ClassVar[dict[str, InitialGuess]]
    ZERO: ClassVar[InitialGuess]
    STATE: ClassVar[InitialGuess]

class BoundaryVariable:
    def __init__(
        self,
        *,
        name: str,
        public_name: str,
        base_shape: Sequence[int],
        sub_batch_shape: Sequence[int] | None,
    ) -> None: ...

class Parameter:
    def __init__(
        self,
        *,
        name: str,
        public_name: str,
        shape: Sequence[int],
        base_shape: Sequence[int],
        values: Sequence[float],
        dtype: str | None,
    ) -> None: ...

class Slot:
    def __init__(
        self, *, name: str, base_shape: Sequence[int], sub_batch_shape: Sequence[int]
    ) -> None: ...

class Group:
    def __init__(
        self, *, structure: Structure, sub_batch_shape: Sequence[int], slots: Sequence[Slot]
    ) -> None: ...

class InputPair:
    def __init__(
        self,
        *,
        output: str,
        input: str,
        output_base_shape: Sequence[int],
        input_base_shape: Sequence[int],
        input_sub_batch_shape: Sequence[int],
        batch_independent: bool,
    ) -> None: ...

class NewtonSettings:
    def __init__(
        self,
        *,
        absolute_tolerance: float,
        relative_tolerance: float,
        max_iterations: int,
        line_search: LineSearch,
        line_search_max_iterations: int,
        line_search_cutback: float,
        line_search_constant: float,
    ) -> None: ...

class InputDerivativeGraph:
    def __init__(self, *, graph: str, pairs: Sequence[InputPair], stacked: bool) -> None: ...

class ForwardSegment:
    def __init__(
        self,
        *,
        label: str,
        value: str,
        inputs: Sequence[str],
        outputs: Sequence[str],
        parameters: Sequence[str],
        input_derivatives: InputDerivativeGraph | None,
        stored_parameters: bool,
        argument_order: Sequence[int],
        whole_batch: bool,
    ) -> None: ...

class FusedDirection:
    def __init__(self, *, step: str, returns_iterate: bool) -> None: ...

class OperatorDirection:
    def __init__(self, *, jacobian: str, solve: str) -> None: ...

class FusedSensitivity:
    def __init__(self, *, graph: str, pairs: Sequence[InputPair]) -> None: ...

class OperatorSensitivity:
    def __init__(
        self, *, jacobian: str, jacobian_given: str, solve: str, pairs: Sequence[InputPair]
    ) -> None: ...

class Cell:
    def __init__(self, *, rows: Group, columns: Group) -> None: ...

class CellSensitivity:
    def __init__(self, *, graph: str, cells: Sequence[Cell]) -> None: ...

class Predictor:
    def __init__(self, *, graph: str, inputs: Sequence[str], outputs: Sequence[str]) -> None: ...

class ImplicitSegment:
    def __init__(
        self,
        *,
        label: str,
        unknown_groups: Sequence[Group],
        given_groups: Sequence[Group],
        residual_groups: Sequence[Group],
        parameters: Sequence[str],
        residual: str,
        direction: FusedDirection | OperatorDirection,
        sensitivity: FusedSensitivity | OperatorSensitivity | CellSensitivity | None,
        predictor: Predictor | None,
        initial_guess: InitialGuess,
        newton: NewtonSettings,
        whole_batch: bool,
    ) -> None: ...

class ModelDescription:
    def __init__(
        self,
        *,
        label: str,
        device: str,
        dtype: str,
        inputs: Sequence[BoundaryVariable],
        outputs: Sequence[BoundaryVariable],
        parameters: Sequence[Parameter],
        derivatives: Sequence[tuple[str, str]],
        segments: Sequence[ForwardSegment | ImplicitSegment],
        fixed_batch: Sequence[int | None] | None,
        argument_ranks: Mapping[str, Sequence[int]],
    ) -> None: ...

class Model:
    def __init__(self, description: ModelDescription) -> None: ...
    @property
    def device(self) -> torch.device: ...
    @property
    def dtype(self) -> torch.dtype: ...
    @property
    def input_names(self) -> list[str]: ...
    @property
    def output_names(self) -> list[str]: ...
    @property
    def input_base_shapes(self) -> list[list[int]]: ...
    @property
    def output_base_shapes(self) -> list[list[int]]: ...
    @property
    def parameter_base_shapes(self) -> dict[str, list[int]]: ...
    def forward(self, inputs: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]: ...
    def forward_natural(self, inputs: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]: ...
    def jvp(
        self, inputs: Mapping[str, torch.Tensor], tangents: Mapping[str, torch.Tensor]
    ) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]: ...
    def jacobian(
        self, inputs: Mapping[str, torch.Tensor]
    ) -> tuple[dict[str, torch.Tensor], dict[str, dict[str, torch.Tensor]]]: ...
    def named_parameters(self) -> dict[str, torch.Tensor]: ...
    def set_parameter(self, name: str, value: torch.Tensor) -> None: ...
    def set_newton(self, settings: NewtonSettings) -> None: ...

def has_opaque_pow() -> bool: ...
def define_opaque_pow() -> None: ...
