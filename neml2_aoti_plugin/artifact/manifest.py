"""The canonical description of an artifact, whatever release wrote it.

Everything here is plain, frozen data. Names are the *authored* ones, which the segments use among
themselves; ``public_name`` is what a caller sees and differs only where the artifact was compiled
with boundary renames. Graph files are bare names inside :attr:`Leaf.folder`.

Shapes exclude the batch: a value has the shape ``(*batch, *sub_batch_shape, *base_shape)``.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from neml2_aoti_plugin.artifact.lock import Lock

Shape: TypeAlias = tuple[int, ...]


class Structure(enum.Enum):
    """How the variables of a group are stored together (see :class:`Group`)."""

    DENSE = "dense"
    BLOCK = "block"


class InitialGuess(enum.Enum):
    """Where a solve starts for unknowns that no predictor provides."""

    ZERO = "zero"
    STATE = "state"
    """The caller's (or an earlier segment's) value of the unknown; zero where there is none."""


class LineSearch(enum.Enum):
    BACKTRACKING = "BACKTRACKING"
    STRONG_WOLFE = "STRONG_WOLFE"


class Role(enum.Enum):
    """What substepping does with a given (``artifact-format``: roles of givens)."""

    OLD_STATE = "old_state"
    CUR_FORCE = "cur_force"
    OLD_FORCE = "old_force"
    INCREMENTAL = "incremental"
    STATIC = "static"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """A master input or output of the model."""

    name: str
    public_name: str
    type_name: str
    """Class name in ``neml2.types``, as the file spells it."""
    base_shape: Shape
    sub_batch_shape: Shape | None
    """``None`` where the file does not record it (every output)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A promoted parameter: its initial value and the shape of one value of it."""

    name: str
    public_name: str
    shape: Shape
    base_shape: Shape
    values: tuple[float, ...]
    """Row-major, ``prod(shape)`` of them."""
    dtype: str | None
    """``None``: the declared dtype of the leaf; else ``int64``, ``int32`` or ``bool``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """One variable inside a group."""

    name: str
    base_shape: Shape
    sub_batch_shape: Shape


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """A value held fixed during a solve."""

    name: str
    base_shape: Shape
    sub_batch_shape: Shape
    role: Role
    pair: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Variables stored together: dense ``(*batch, sum(prod(sub)*prod(base)))``, block
    ``(*batch, *sub_batch_shape, sum(prod(base)))``."""

    structure: Structure
    sub_batch_shape: Shape
    """Meaningful for block groups only; ``()`` for dense ones."""
    slots: tuple[Slot, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class InputPair:
    """One derivative block d(output)/d(input) that a graph returns."""

    output: str
    input: str
    output_base_shape: Shape
    input_base_shape: Shape
    input_sub_batch_shape: Shape
    batch_independent: bool
    row_offset: int
    column_offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterPair:
    """One derivative block d(output)/d(parameter) that a graph returns."""

    output: str
    parameter: str
    output_base_shape: Shape
    parameter_base_shape: Shape
    row_offset: int
    column_offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class InputDerivativeGraph:
    graph: str
    pairs: tuple[InputPair, ...]
    stacked: bool = False
    """The graph returns one matrix for all pairs, outputs by rows and inputs by columns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterDerivativeGraph:
    graph: str
    pairs: tuple[ParameterPair, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterAdjointGraph:
    graph: str
    parameters: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ForwardSegment:
    """Explicit stage: outputs from inputs in one graph run."""

    label: str
    """Short name for messages: the stem of the value graph's file."""
    value: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    parameters: tuple[str, ...]
    stored_parameters: bool = False
    """Graphs take parameters at their stored shape, not one value per row."""
    argument_order: tuple[int, ...] | None = None
    """Position in ``inputs + parameters`` of every argument of the value and derivative graphs;
    ``None``: as listed. Known once the graph files have been inspected."""
    input_derivatives: InputDerivativeGraph | None
    parameter_derivatives: ParameterDerivativeGraph | None
    parameter_adjoint: ParameterAdjointGraph | None


class KrylovMethod(enum.Enum):
    GMRES = "gmres"
    BICGSTAB = "bicgstab"


class CacheStrategy(enum.Enum):
    """When a preconditioner is made anew within one Newton solve."""

    NONE = "none"
    """For every update."""
    CHORD = "chord"
    """Once."""
    MAX_ITS = "max_its"
    """When the linear solve before took more than ``cache_max_iterations``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KrylovSettings:
    method: KrylovMethod
    restart: int
    max_iterations: int
    absolute_tolerance: float
    relative_tolerance: float
    cache_strategy: CacheStrategy
    cache_max_iterations: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FusedDirection:
    """``step(u, g, p) -> du, b``: solve included (schema 3 to 7)."""

    step: str
    returns_iterate: bool = False
    """The graph returns ``u + du`` and the residual there instead (schema 2)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorDirection:
    """``jacobian(u, g, p) -> A, b`` then ``solve(A, b) -> du`` (schema 12 and later)."""

    jacobian: str
    solve: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KrylovDirection:
    """``matvec(u, g, p, v) -> A v`` inside an iterative solve, optionally preconditioned."""

    matvec: str
    preconditioner_setup: str | None
    preconditioner_apply: str | None
    settings: KrylovSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class FusedSensitivity:
    """``graph(u, g, p)`` returns one ``du/dg`` block per pair, both sides flattened (schema 7)."""

    graph: str
    pairs: tuple[InputPair, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """The derivative of one group with respect to another, as one matrix per row of the batch, or
    per row and site where a group is a block."""

    rows: Group
    columns: Group

    @property
    def site_shape(self) -> Shape:
        """Sub-batch axes of the matrices. Two blocks over the same sites share them."""
        if self.rows.sub_batch_shape == self.columns.sub_batch_shape:
            return self.rows.sub_batch_shape
        return self.rows.sub_batch_shape + self.columns.sub_batch_shape


@dataclass(frozen=True, slots=True, kw_only=True)
class CellSensitivity:
    """``graph(u, g)`` returns ``du/dg`` as one matrix per cell (schema 2 and 3)."""

    graph: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorSensitivity:
    """``A`` from ``jacobian``, ``B`` from ``jacobian_given``; ``solve(A, B)`` returns one block per
    pair.

    ``solve`` is ``None`` and ``krylov`` set where the artifact asks for an iterative solve.
    """

    jacobian: str
    jacobian_given: str
    solve: str | None
    krylov: KrylovSettings | None
    pairs: tuple[InputPair, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FusedParameterSensitivity:
    """``graph(u, g, p)`` returns one ``du/dp`` block per pair (schema 7)."""

    graph: str
    pairs: tuple[ParameterPair, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorParameterSensitivity:
    residual_jacobians: str
    """The ``dr_dparam`` graph: dense ``A`` and ``dr/dp``."""
    solve: str | None
    krylov: KrylovSettings | None
    pairs: tuple[ParameterPair, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictorFeedback:
    input: str
    output: str
    sub_batch_shape: Shape
    base_shape: Shape
    iterations: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Predictor:
    graph: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    feedback: PredictorFeedback | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewtonSettings:
    """Settings of a Newton solve; the defaults are those of ``neml2``'s readers."""

    absolute_tolerance: float = 1e-10
    relative_tolerance: float = 1e-8
    max_iterations: int = 25
    line_search: LineSearch = LineSearch.BACKTRACKING
    line_search_max_iterations: int = 1
    """1 (or less): full steps, no line search."""
    line_search_cutback: float = 2.0
    line_search_constant: float = 1e-3
    update_tolerance: float = float("inf")
    """``substep_del_tol``: relative size of the last update that a substepped row must also
    meet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImplicitSegment:
    """Stage that solves ``r(u, g, p) = 0`` for the unknowns ``u``."""

    label: str
    """Short name for messages: the stem of the residual graph's file without its suffix."""
    unknowns: tuple[Slot, ...]
    givens: tuple[Given, ...]
    unknown_groups: tuple[Group, ...]
    given_groups: tuple[Group, ...]
    residual_groups: tuple[Group, ...]
    parameters: tuple[str, ...]
    residual: str
    direction: FusedDirection | OperatorDirection | KrylovDirection
    input_sensitivity: FusedSensitivity | CellSensitivity | OperatorSensitivity | None
    parameter_sensitivity: FusedParameterSensitivity | OperatorParameterSensitivity | None
    predictor: Predictor | None
    initial_guess: InitialGuess
    newton: NewtonSettings
    max_substepping_level: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """The folder of graphs for one device and dtype."""

    folder: Path
    device: str
    """Torch device string, with an index where the caller gave one."""
    dtype: str
    """``float64`` or ``float32``: what the caller sees. The graphs are float64 inside, always."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """All that a runtime needs to know about one leaf of an artifact."""

    schema_version: int
    """As written in the file, before any upgrade."""
    metadata_file: Path
    leaf: Leaf
    inputs: tuple[Variable, ...]
    outputs: tuple[Variable, ...]
    parameters: tuple[Parameter, ...]
    derivatives: tuple[tuple[str, str], ...]
    """(output, input) pairs that may be asked for, authored names, in the file's order."""
    parameter_derivatives: tuple[tuple[str, str], ...]
    segments: tuple[ForwardSegment | ImplicitSegment, ...]
    operators: frozenset[str] = frozenset()
    """Operators that the graphs call by name, as ``namespace::name``; known once the graph files
    have been inspected."""
    lock: Lock | None = None
    """What vouches for the files; known once they have been compared with it."""
    fixed_batch: tuple[int | None, ...] | None = None
    """The batch shape that the graphs were traced with, where it is not of rank one and any size;
    ``None`` for an extent that may vary. Known once the graph files have been inspected."""
    argument_ranks: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """By graph, the rank of every argument with its batch axes; only where :attr:`fixed_batch` is
    not one axis."""


def sub_batch_shapes_inside(manifest: Manifest) -> dict[str, Shape]:
    """Sub-batch shapes that the solves record, by authored name; outputs come without theirs."""
    shapes: dict[str, Shape] = {}
    for segment in manifest.segments:
        if isinstance(segment, ImplicitSegment):
            shapes |= {given.name: given.sub_batch_shape for given in segment.givens}
            shapes |= {unknown.name: unknown.sub_batch_shape for unknown in segment.unknowns}
    return shapes


def model_label(manifest: Manifest) -> str:
    """What messages call the model: the name it was compiled under."""
    file = manifest.metadata_file
    return file.parent.name if file.name == "metadata.json" else file.stem.removesuffix("_meta")
