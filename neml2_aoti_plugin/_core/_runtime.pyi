"""Stub of the compiled module; tests/test_stub.py compares the two.

The description classes take what :mod:`neml2_aoti_plugin.artifact.manifest` describes, keyword by
keyword.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, TypeAlias

import torch

from neml2_aoti_plugin.solves import SolveObserver, SolveRecord

_Tensors: TypeAlias = Mapping[str, torch.Tensor]

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

class KrylovMethod:
    __members__: ClassVar[dict[str, KrylovMethod]]
    GMRES: ClassVar[KrylovMethod]
    BICGSTAB: ClassVar[KrylovMethod]

class PreconditionerCache:
    __members__: ClassVar[dict[str, PreconditionerCache]]
    NONE: ClassVar[PreconditionerCache]
    CHORD: ClassVar[PreconditionerCache]
    MAX_ITS: ClassVar[PreconditionerCache]

class Role:
    __members__: ClassVar[dict[str, Role]]
    OLD_STATE: ClassVar[Role]
    CUR_FORCE: ClassVar[Role]
    OLD_FORCE: ClassVar[Role]
    INCREMENTAL: ClassVar[Role]
    STATIC: ClassVar[Role]

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
        row_offset: int,
        column_offset: int,
    ) -> None: ...

class ParameterPair:
    def __init__(
        self,
        *,
        output: str,
        parameter: str,
        output_base_shape: Sequence[int],
        parameter_base_shape: Sequence[int],
        row_offset: int,
        column_offset: int,
    ) -> None: ...

class Given:
    def __init__(self, *, name: str, role: Role, pair: str) -> None: ...

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
        update_tolerance: float,
    ) -> None: ...

class KrylovSettings:
    def __init__(
        self,
        *,
        method: KrylovMethod,
        restart: int,
        max_iterations: int,
        absolute_tolerance: float,
        relative_tolerance: float,
        cache: PreconditionerCache,
        cache_max_iterations: int,
    ) -> None: ...

class InputDerivativeGraph:
    def __init__(self, *, graph: str, pairs: Sequence[InputPair], stacked: bool) -> None: ...

class ParameterDerivativeGraph:
    def __init__(self, *, graph: str, pairs: Sequence[ParameterPair]) -> None: ...

class ParameterAdjointGraph:
    def __init__(
        self, *, graph: str, parameters: Sequence[str], outputs: Sequence[str]
    ) -> None: ...

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
        parameter_derivatives: ParameterDerivativeGraph | None,
        parameter_adjoint: ParameterAdjointGraph | None,
        stored_parameters: bool,
        argument_order: Sequence[int],
        whole_batch: bool,
    ) -> None: ...

class FusedDirection:
    def __init__(self, *, step: str, returns_iterate: bool) -> None: ...

class OperatorDirection:
    def __init__(self, *, jacobian: str, solve: str) -> None: ...

class Preconditioner:
    def __init__(self, *, setup: str, apply: str) -> None: ...

class KrylovDirection:
    def __init__(
        self, *, matvec: str, preconditioner: Preconditioner | None, settings: KrylovSettings
    ) -> None: ...

class FusedSensitivity:
    def __init__(self, *, graph: str, pairs: Sequence[InputPair]) -> None: ...

class OperatorSensitivity:
    def __init__(
        self, *, jacobian: str, jacobian_given: str, solve: str | None, pairs: Sequence[InputPair]
    ) -> None: ...

class Cell:
    def __init__(self, *, rows: Group, columns: Group) -> None: ...

class CellSensitivity:
    def __init__(self, *, graph: str, cells: Sequence[Cell]) -> None: ...

class FusedParameterSensitivity:
    def __init__(self, *, graph: str, pairs: Sequence[ParameterPair]) -> None: ...

class OperatorParameterSensitivity:
    def __init__(
        self, *, residual_jacobians: str, solve: str | None, pairs: Sequence[ParameterPair]
    ) -> None: ...

class PredictorFeedback:
    def __init__(
        self, *, input: str, output: str, shape: Sequence[int], iterations: int
    ) -> None: ...

class Predictor:
    def __init__(
        self,
        *,
        graph: str,
        inputs: Sequence[str],
        outputs: Sequence[str],
        feedback: PredictorFeedback | None,
    ) -> None: ...

class ImplicitSegment:
    def __init__(
        self,
        *,
        label: str,
        unknown_groups: Sequence[Group],
        given_groups: Sequence[Group],
        residual_groups: Sequence[Group],
        givens: Sequence[Given],
        parameters: Sequence[str],
        residual: str,
        direction: FusedDirection | OperatorDirection | KrylovDirection,
        sensitivity: FusedSensitivity | OperatorSensitivity | CellSensitivity | None,
        parameter_sensitivity: FusedParameterSensitivity | OperatorParameterSensitivity | None,
        predictor: Predictor | None,
        initial_guess: InitialGuess,
        newton: NewtonSettings,
        max_substepping_level: int,
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
        parameter_derivatives: Sequence[tuple[str, str]],
        segments: Sequence[ForwardSegment | ImplicitSegment],
        fixed_batch: Sequence[int | None] | None,
        argument_ranks: Mapping[str, Sequence[int]],
    ) -> None: ...

class Recording: ...

class Model:
    def __init__(
        self,
        description: ModelDescription,
        observer: SolveObserver,
        unpack: Callable[[str], tuple[str, str]] | None = None,
        differentiate: Callable[
            [Model, _Tensors, _Tensors | None, list[SolveRecord] | None], dict[str, torch.Tensor]
        ]
        | None = None,
    ) -> None: ...
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
    def forward(
        self,
        inputs: _Tensors,
        param_overrides: _Tensors | None = None,
        solves: list[SolveRecord] | None = None,
    ) -> dict[str, torch.Tensor]: ...
    def forward_natural(
        self,
        inputs: _Tensors,
        param_overrides: _Tensors | None = None,
        solves: list[SolveRecord] | None = None,
    ) -> dict[str, torch.Tensor]: ...
    def jvp(
        self,
        inputs: _Tensors,
        tangents: _Tensors,
        param_overrides: _Tensors | None = None,
        solves: list[SolveRecord] | None = None,
    ) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]: ...
    def jacobian(
        self,
        inputs: _Tensors,
        param_overrides: _Tensors | None = None,
        solves: list[SolveRecord] | None = None,
    ) -> tuple[dict[str, torch.Tensor], dict[str, dict[str, torch.Tensor]]]: ...
    def param_jacobian(
        self,
        inputs: _Tensors,
        param_overrides: _Tensors | None = None,
        solves: list[SolveRecord] | None = None,
    ) -> tuple[dict[str, torch.Tensor], dict[str, dict[str, torch.Tensor]]]: ...
    def param_vjp(
        self,
        inputs: _Tensors,
        cotangents: _Tensors,
        param_overrides: _Tensors | None = None,
        solves: list[SolveRecord] | None = None,
    ) -> dict[str, torch.Tensor]: ...
    def record(
        self,
        inputs: _Tensors,
        param_overrides: _Tensors | None = None,
        solves: list[SolveRecord] | None = None,
    ) -> tuple[dict[str, torch.Tensor], Recording]: ...
    def pull_back(
        self,
        recording: Recording,
        cotangents: _Tensors,
        inputs: set[str],
        parameters: set[str],
    ) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]: ...
    def named_parameters(self) -> dict[str, torch.Tensor]: ...
    def set_parameter(self, name: str, value: torch.Tensor) -> None: ...
    def set_newton(self, settings: NewtonSettings) -> None: ...
    def set_execution(self, chunk_rows: int, threads: int, max_corrections: int) -> None: ...
    def set_goes_on(self, goes_on: bool) -> None: ...

def exchange_functions(graph: str) -> None: ...
def exchange_kernels(graph: str, kernels: str) -> None: ...
def has_opaque_pow() -> bool: ...
def define_opaque_pow() -> None: ...
def accelerate_opaque_pow() -> None: ...
