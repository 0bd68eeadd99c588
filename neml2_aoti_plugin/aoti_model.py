"""``AOTIModel``: a compiled model in the place of a native one.

The class stands in a ``[Models]`` block, takes and returns the host's typed tensors, and leaves
the work to :class:`neml2_aoti_plugin.model.Model`. Import it from :mod:`neml2_aoti_plugin.hit`,
never from here; :mod:`neml2_aoti_plugin.takeover` registers it with the host.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, TypeAlias, overload

import torch
from neml2.schema import HitSchema, dependency, option
from neml2.types import TensorWrapper

from neml2_aoti_plugin.artifact.manifest import Shape
from neml2_aoti_plugin.chain_rule import ChainRule
from neml2_aoti_plugin.errors import AOTIError, InputError, UnsupportedFeatureError
from neml2_aoti_plugin.hit_blocks import location, option_names
from neml2_aoti_plugin.model import Model
from neml2_aoti_plugin.on_failure import DEFAULT_FOLDER
from neml2_aoti_plugin.stub import SolverConfig, read_stub
from neml2_aoti_plugin.typed import TypedBoundary, WrapperClass

Tensors: TypeAlias = Mapping[str, torch.Tensor]
"""Plain tensors by name."""


class _LocatedSchema(HitSchema):  # type: ignore[misc]  # the host is untyped
    """Options of a block; an unknown one is refused by the host with file and line in front."""

    def reject_unknown_fields(self, node: Any) -> None:
        try:
            super().reject_unknown_fields(node)
        except ValueError as error:
            known = {"type", *(field.name for field in self.fields)}
            unknown = next(name for name in option_names(node) if name not in known)
            raise ValueError(f"{location(node.find(unknown), Path())}: {error}") from None


class AOTIModel(torch.nn.Module):
    """A model compiled ahead of time by neml2-compile, usable wherever a native model is.

    The block names the folder that neml2-compile wrote, or the metadata file in it. Of the
    binaries in that folder, those for the requested device and dtype are used: the device and dtype
    given when the input file is loaded, otherwise the default device of torch and float64 (or the
    only dtype there is). Inputs and outputs keep the names and types of the original model.
    Parameters keep the values they had at compile time; those named with --parameter can be read
    and changed through named_parameters() and set_parameter().

    A compiled model stays on its device, keeps its dtype and cannot be compiled again. Where an
    input or a promoted parameter requires grad, its outputs do, with exact gradients by whatever
    derivatives were requested at compile time. With chain_rule = true these also serve native
    models around it: a ComposedModel, the residual of an ImplicitUpdate, a pyzag system.
    """

    # Where it is to be imported from, by pickle too; also what the syntax catalogue shows.
    __module__ = "neml2_aoti_plugin.hit"

    SECTION = "Models"

    hit = _LocatedSchema(
        option(
            "artifact_path",
            str,
            "Folder written by neml2-compile for this model: it holds metadata.json and one "
            "subfolder per device (or, as written by neml2 3.0.4 to 3.0.6, one subfolder per "
            "device with the metadata in it). A relative path is relative to the folder of the "
            "input file. Required, unless meta is given.",
            default="",
        ),
        option(
            "meta",
            str,
            "Metadata file written by neml2 3.0.3 and earlier, in place of artifact_path. A "
            "relative path is relative to the folder of the input file.",
            default="",
        ),
        dependency(
            "solver",
            "get_solver",
            "Nonlinear solver whose tolerances, iteration limit and line search the compiled "
            "implicit updates use. Needed for artifacts of neml2 3.0.4 to 3.0.6, which do not "
            "carry these settings; for others it replaces the settings recorded at compile time. "
            "Its linear solver is ignored.",
            default=None,
        ),
        option(
            "chain_rule",
            bool,
            "Whether the model takes the tangents of neml2's first-order chain rule, and so can be "
            "part of a native composition that is differentiated, such as the residual of an "
            "implicit update. Needs the derivatives of all outputs with respect to the inputs that "
            "are varied: compile with -d OUT:IN for these, or -d : for all.",
            default=False,
        ),
        option(
            "on_failure",
            str,
            "What a call does when a solve fails for some points: 'raise' an error; 'nan' returns, "
            "with results that are not a number for these points alone; 'dump' raises, and writes "
            "what it takes to run the failed points again to a new folder in failure_folder.",
            default="raise",
        ),
        option(
            "failure_folder",
            str,
            "Where on_failure = 'dump' writes its reports. A relative path is relative to the "
            "working directory.",
            default=DEFAULT_FOLDER,
        ),
        option(
            "lock",
            str,
            "Whether artifact.lock, which 'neml2-aoti lock' writes beside the metadata, is ignored "
            "('off'), verified if it is there ('if-present'), or must be there and fit "
            "('required'). The environment variable NEML2_AOTI_PLUGIN_LOCK may ask for more.",
            default="if-present",
        ),
    )

    # Read off every model by composition and by the host's tools. Promoted parameters are no
    # inputs here, so both spellings of their table are empty.
    SUPPORTS_SECOND_ORDER: ClassVar[bool] = False
    output_priorities: ClassVar[Mapping[str, str | None]] = MappingProxyType({})
    _promoted_params: ClassVar[Mapping[str, Any]] = MappingProxyType({})
    _nl_params: ClassVar[Mapping[str, Any]] = MappingProxyType({})

    input_spec: dict[str, WrapperClass]
    output_spec: dict[str, WrapperClass]

    @classmethod
    def from_hit(cls, node: Any, factory: Any) -> AOTIModel:
        """The model of the ``[Models]`` block ``node`` in the file that ``factory`` loads.

        Raises what :func:`neml2_aoti_plugin.stub.read_stub` and the constructor raise.
        """
        stub = read_stub(node, factory)
        try:
            model = cls(
                stub.artifact_path,
                device=stub.device,
                dtype=stub.dtype,
                chain_rule=stub.chain_rule,
                lock=stub.lock,
            )
        except AOTIError as error:
            error.args = (f"{stub.place}: {error}",)
            raise
        if stub.solver_config is not None:
            model.set_solver_config(**stub.solver_config)
        model.set_on_failure(stub.on_failure, stub.failure_folder)
        model._accept_declarations(stub.declared_names)
        return model

    def __init__(
        self,
        meta_path: str | Path,
        device: str | torch.device | None = None,
        dtype: str | torch.dtype | None = None,
        *,
        chain_rule: bool = False,
        lock: str | None = None,
    ) -> None:
        """Open the artifact at ``meta_path``: its folder, or the metadata file in it.

        ``device`` defaults to torch's default device; ``dtype`` to float64 where the artifact has
        it, otherwise to the only one it has. With ``chain_rule`` calls accept ``v``: see
        :meth:`forward`. ``lock`` is that of
        :class:`neml2_aoti_plugin.Model`. Raises :class:`ArtifactError` and its kin for what is
        wrong on disk, and :class:`TypeError` for a variable whose type the installed ``neml2`` does
        not know.
        """
        super().__init__()
        self._inner = Model(meta_path, device=device, dtype=dtype, lock=lock)
        self._lock = lock
        self._newton_settings: SolverConfig | None = None
        self._on_failure: tuple[str, str | Path] = ("raise", DEFAULT_FOLDER)
        self._boundary = TypedBoundary(self._inner.manifest)
        self._chain_rule = ChainRule(self._inner.manifest, self._boundary) if chain_rule else None
        self.input_spec = {variable.name: variable.wrapper for variable in self._boundary.inputs}
        self.output_spec = {variable.name: variable.wrapper for variable in self._boundary.outputs}

    # --- calls

    def forward(
        self, *args: Any, v: object = None, v2: object = None, vh: object = None
    ) -> tuple[Any, ...]:
        """Evaluate the model.

        ``args``: one value per input, in the order of ``input_spec``, each a wrapper of the
        declared type or a plain tensor ``(*batch, *sub_batch, *base)``, on the device and of the
        dtype of the model. Batch shapes broadcast. Returns a tuple of wrappers in the order of
        ``output_spec``, for a single output as well; an output that depends on no batched value
        has no batch axes, unless gradients are recorded.

        ``v``, ``v2`` and ``vh`` belong to the host's chain rule and must be ``None``, unless the
        model was opened with ``chain_rule``. It then takes ``v = {input: {seed: tangent}}``, each
        tangent a wrapper of the type of its input, ``(*seed_axes, *batch, *base)`` with ``k_ndim``
        seed axes, or a plain tensor without any; and returns ``(*outputs, v_out)`` with ``v_out =
        {output: {seed: tangent}}``, without entries for what depends on no input in ``v``. Outputs
        then have the full batch of the call. Where ``v`` holds a tangent, the call takes as long as
        :meth:`jacobian`.

        Raises :class:`InputTypeError` and :class:`InputError` for arguments that do not fit,
        :class:`ConvergenceError` where a solve fails, :class:`DerivativeNotCompiledError` where
        ``v`` needs a derivative that the artifact lacks, :class:`UnsupportedFeatureError` for the
        rest of the chain rule, for sub-batched variables in it, and while ``torch.export`` traces.
        """
        self._refuse_chain_rule(v=v, v2=v2, vh=vh)
        if self._chain_rule is not None and v is not None:
            return self._forward_tangents(args, self._chain_rule, v)
        inputs = self._boundary.unwrap(args)
        if torch.compiler.is_compiling():
            self._refuse_export()
            return self._boundary.wrap(
                self._inner.forward(inputs), self._boundary.batch(inputs, {})
            )
        outputs = self._inner.forward_natural(inputs)
        return self._boundary.wrap(
            outputs, self._boundary.batch(inputs, self._inner.named_parameters())
        )

    def call_by_name(self, state: Mapping[str, Any]) -> dict[str, Any]:
        """Evaluate the model on its inputs out of ``state``, which may hold more; outputs by name.

        Values are as for :meth:`forward`. Raises :class:`InputError` where one is missing.
        """
        missing = [name for name in self.input_spec if name not in state]
        if missing:
            raise InputError(
                f"{self._where()}: call_by_name() lacks {_quoted(missing)}; it was given "
                f"{_quoted(state)}. Pass a value for every name in input_spec."
            )
        outputs = self(*(state[name] for name in self.input_spec))
        return dict(zip(self.output_spec, outputs, strict=True))

    def jvp(
        self, inputs: Tensors, tangents: Tensors, param_overrides: Tensors | None = None
    ) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
        """:meth:`neml2_aoti_plugin.model.Model.jvp`: plain tensors by name."""
        return self._inner.jvp(inputs, tangents, param_overrides)

    def jacobian(
        self, inputs: Tensors, param_overrides: Tensors | None = None
    ) -> tuple[dict[str, torch.Tensor], dict[str, dict[str, torch.Tensor]]]:
        """:meth:`neml2_aoti_plugin.model.Model.jacobian`: plain tensors by name."""
        return self._inner.jacobian(inputs, param_overrides)

    def param_jacobian(
        self, inputs: Tensors, param_overrides: Tensors | None = None
    ) -> tuple[dict[str, torch.Tensor], dict[str, dict[str, torch.Tensor]]]:
        """:meth:`neml2_aoti_plugin.model.Model.param_jacobian`: plain tensors by name."""
        return self._inner.param_jacobian(inputs, param_overrides)

    def param_vjp(
        self, inputs: Tensors, cotangents: Tensors, param_overrides: Tensors | None = None
    ) -> dict[str, torch.Tensor]:
        """:meth:`neml2_aoti_plugin.model.Model.param_vjp`: plain tensors by name."""
        return self._inner.param_vjp(inputs, cotangents, param_overrides)

    # --- parameters and settings

    # Documented so: without arguments, a dictionary.
    @overload  # type: ignore[override]
    def named_parameters(self) -> dict[str, torch.Tensor]: ...  # pyright: ignore[reportOverlappingOverload]

    @overload
    def named_parameters(
        self, prefix: str = ..., recurse: bool = ..., remove_duplicate: bool = ...
    ) -> Iterator[tuple[str, torch.Tensor]]: ...

    def named_parameters(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, *args: Any, **kwargs: Any
    ) -> dict[str, torch.Tensor] | Iterator[tuple[str, torch.Tensor]]:
        """The promoted parameters.

        Without arguments a dictionary of the live tensors: changes in place count from the next
        call on. With any argument of :meth:`torch.nn.Module.named_parameters` an iterator of
        (name, tensor), as there; an empty one for ``recurse=False``, whose callers look for
        parameters that they may replace.
        """
        if not args and not kwargs:
            return self._inner.named_parameters()
        return self._iterate_parameters(*args, **kwargs)

    def trainable_parameters(self, *names: str) -> dict[str, torch.nn.Parameter]:
        """:meth:`neml2_aoti_plugin.Model.trainable_parameters`: leaves for an optimiser, bound to
        the model."""
        return self._inner.trainable_parameters(*names)

    def set_autograd(self, *, recompute: bool = False) -> None:
        """Say how reverse mode remembers a call, as :meth:`neml2_aoti_plugin.Model.set_autograd`
        does."""
        self._inner.set_autograd(recompute=recompute)

    def set_parameter(self, name: str, value: torch.Tensor) -> None:
        """Replace the promoted parameter ``name`` by ``value`` of shape ``(*batch, *base)``."""
        self._inner.set_parameter(name, value)

    def set_solver_config(
        self,
        atol: float,
        rtol: float,
        miters: int,
        ls_type: str,
        ls_max_iters: int,
        ls_cutback: float,
        ls_c: float,
        substep_del_tol: float = 1e-6,
    ) -> None:
        """Replace the settings of every Newton solve in the model.

        ``atol``, ``rtol``: absolute and relative tolerance on the residual norm; ``miters``: most
        iterations; ``ls_type``: BACKTRACKING or STRONG_WOLFE; ``ls_max_iters``: one more than
        the trials of the line search, 1 for none; ``ls_cutback``, ``ls_c``: its reduction factor
        and its constant; ``substep_del_tol``: relative size of the last update that substepped
        solves also need.
        """
        config: SolverConfig = {
            "atol": atol,
            "rtol": rtol,
            "miters": miters,
            "ls_type": ls_type,
            "ls_max_iters": ls_max_iters,
            "ls_cutback": ls_cutback,
            "ls_c": ls_c,
            "substep_del_tol": substep_del_tol,
        }
        self._inner.set_solver_config(**config)
        self._newton_settings = config

    def set_execution(
        self,
        *,
        chunk_rows: int | None = None,
        threads: int | None = None,
        max_corrections: int = 0,
    ) -> None:
        """Say how calls are carried out, as :meth:`neml2_aoti_plugin.Model.set_execution` does.

        Not kept by copies: a copy carries its calls out in the way that suits it best.
        """
        self._inner.set_execution(
            chunk_rows=chunk_rows, threads=threads, max_corrections=max_corrections
        )

    def set_on_failure(self, action: str, folder: str | Path = DEFAULT_FOLDER) -> None:
        """Say what a call does when a solve fails for some rows, as
        :meth:`neml2_aoti_plugin.Model.set_on_failure` does."""
        self._inner.set_on_failure(action, folder)
        self._on_failure = (action, folder)

    # --- description

    @property
    def device(self) -> torch.device:
        """The device that the model was compiled for."""
        return self._inner.device

    @property
    def dtype(self) -> torch.dtype:
        """The floating-point dtype that the model was compiled for."""
        return self._inner.dtype

    @property
    def consumed_items(self) -> frozenset[str]:
        """Names of the inputs."""
        return frozenset(self.input_spec)

    @property
    def provided_items(self) -> frozenset[str]:
        """Names of the outputs."""
        return frozenset(self.output_spec)

    @property
    def input_sub_batch(self) -> dict[str, Shape]:
        """Shape of the sub-batch axes by input, ``()`` for none."""
        return {variable.name: variable.sub_batch_shape or () for variable in self._boundary.inputs}

    @property
    def input_labels(self) -> dict[str, tuple[str, ...]]:
        """Labels of the sub-batch axes by input: none, as no artifact records any."""
        return dict.fromkeys(self.input_spec, ())

    @property
    def output_labels(self) -> dict[str, tuple[str, ...]]:
        """Labels of the sub-batch axes by output: none, as no artifact records any."""
        return dict.fromkeys(self.output_spec, ())

    def extra_repr(self) -> str:
        return (
            f"'{self._inner.manifest.metadata_file}', device={self.device}, dtype={self.dtype}, "
            f"inputs={list(self.input_spec)}, outputs={list(self.output_spec)}"
        )

    # --- moving and copying

    def _apply(self, fn: Callable[[torch.Tensor], torch.Tensor], recurse: bool = True) -> AOTIModel:
        """Behind ``to()``, ``cpu()``, ``double()`` and the like: done if there is nothing to do."""
        here = torch.empty(0, device=self.device, dtype=self.dtype)
        there = fn(here)
        if (there.device, there.dtype) == (here.device, here.dtype):
            return self
        raise AOTIError(
            f"{self._where()} is compiled for {_target(here)} and cannot be moved to "
            f"{_target(there)}. Recompile it for that device and dtype (neml2-compile --device, "
            "--dtype) and load the result."
        )

    def __getstate__(self) -> dict[str, Any]:
        state = dict(self.__dict__)
        del state["_inner"]
        state["_reopening"] = _Reopening(
            metadata_file=self._inner.manifest.metadata_file.resolve(),
            device=str(self.device),
            dtype=self.dtype,
            parameters={
                name: value.detach().clone()
                for name, value in self._inner.named_parameters().items()
            },
            lock=self._lock,
        )
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        reopening: _Reopening = state.pop("_reopening")
        super().__setstate__(state)  # type: ignore[no-untyped-call]
        self._inner = reopening.open()
        if self._newton_settings is not None:
            self._inner.set_solver_config(**self._newton_settings)
        self._inner.set_on_failure(*self._on_failure)

    # --- inside

    def _where(self) -> str:
        return f"compiled model '{self._boundary.label}'"

    def _accept_declarations(self, names: tuple[str, ...]) -> None:
        """Let drivers find variables inside the compiled model that ``[Settings]`` declares.

        They check declared names against the specs of all modules below the model.
        """
        inside = [
            name for name in names if name not in self.input_spec and name not in self.output_spec
        ]
        if inside:
            self.add_module("declared_variables", _DeclaredVariables(inside))

    def _iterate_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, torch.Tensor]]:
        if not recurse:
            return
        seen: set[int] = set()
        for name, value in self._inner.named_parameters().items():
            if remove_duplicate and id(value) in seen:
                continue
            seen.add(id(value))
            yield f"{prefix}.{name}" if prefix else name, value

    def _forward_tangents(
        self, args: tuple[Any, ...], chain_rule: ChainRule, v: object
    ) -> tuple[Any, ...]:
        """:meth:`forward` with tangents."""
        inputs = self._boundary.unwrap(args)
        batch = self._boundary.batch(inputs, self._inner.named_parameters())
        tangents = chain_rule.read_tangents(v)
        if not tangents:
            return (*self._boundary.wrap(self._inner.forward_natural(inputs), batch), {})
        values, blocks = self._inner.differentiable_jacobian(inputs)
        outputs = self._boundary.wrap(values, batch)
        return (*outputs, chain_rule.push_forward(outputs, blocks, tangents, batch))

    def _refuse_chain_rule(self, **directions: object) -> None:
        given = [name for name, value in directions.items() if value is not None]
        if given and self._chain_rule is None:
            raise UnsupportedFeatureError(
                f"{self._where()}: the call was given {_quoted(given)}, but the model was opened "
                "without the chain rule of native models. Set chain_rule = true in its block, or "
                "open it with AOTIModel(path, chain_rule=True), for 'v'; or use its jvp() or "
                "jacobian()."
            )
        if set(given) - {"v"}:
            raise UnsupportedFeatureError(
                f"{self._where()}: the call was given {_quoted(given)}, but a compiled model has "
                "no second derivatives. Use the native model."
            )

    def _refuse_export(self) -> None:
        """A traced function that is to outlive this process cannot hold a model that is in it."""
        if torch.compiler.is_exporting():
            raise UnsupportedFeatureError(
                f"{self._where()} cannot be traced by torch.export: it is compiled already. Trace "
                "the native model instead."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reopening:
    """What it takes to open the same model again, in this process or another."""

    metadata_file: Path
    device: str
    dtype: torch.dtype
    parameters: dict[str, torch.Tensor]
    lock: str | None

    def open(self) -> Model:
        model = Model(self.metadata_file, device=self.device, dtype=self.dtype, lock=self.lock)
        for name, value in self.parameters.items():
            model.set_parameter(name, value)
        return model


class _DeclaredVariables(torch.nn.Module):
    """Names of variables inside a compiled model, of unknown type."""

    def __init__(self, names: list[str]) -> None:
        super().__init__()
        self.input_spec: dict[str, WrapperClass] = dict.fromkeys(names, TensorWrapper)


def _quoted(names: Any) -> str:
    return ", ".join(f"'{name}'" for name in names) or "nothing"


def _target(tensor: torch.Tensor) -> str:
    return f"{tensor.device}/{str(tensor.dtype).removeprefix('torch.')}"
