"""``Model``: a compiled model that takes and returns dictionaries of plain tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch.compiler import is_compiling

from neml2_aoti_plugin.artifact import read_artifact
from neml2_aoti_plugin.artifact.library_cache import (
    default_cache,
    tuned_kernels_file,
    usable_library,
)
from neml2_aoti_plugin.artifact.lock import Lock
from neml2_aoti_plugin.artifact.manifest import LineSearch, Manifest, NewtonSettings
from neml2_aoti_plugin.autograd import Differentiation, is_tracked
from neml2_aoti_plugin.errors import InputError
from neml2_aoti_plugin.failure_report import FailureReports
from neml2_aoti_plugin.on_failure import DEFAULT_FOLDER, checked_action
from neml2_aoti_plugin.traced import TracedModel

if TYPE_CHECKING:
    from neml2_aoti_plugin import _core
    from neml2_aoti_plugin.solves import SolveRecord

_Tensors = Mapping[str, torch.Tensor]
_Results = TypeVar("_Results")


def _unpacker(lock: Lock | None) -> Callable[[str], tuple[str, str]] | None:
    """Where the core finds the library of a package, and tuned kernels for it, if any; ``None``: it
    unpacks packages itself."""
    cache = default_cache()
    if cache is None:
        return None

    def find(package: str) -> tuple[str, str]:
        if lock is not None:  # it was verified when the model was opened, which may be long ago
            lock.verify_file(Path(package))
        library = usable_library(cache, Path(package))
        kernels = tuned_kernels_file(library, torch.__version__)
        return str(library), str(kernels) if kernels.exists() else ""

    return find


class Model:
    """Runs an artifact that ``neml2-compile`` wrote.

    Tensors have the shape ``(*batch, *sub_batch, *base)``, the dtype and the device of the
    artifact; anything else is refused, never converted. Batch axes of different inputs broadcast;
    any batch rank is allowed, none and empty included. Results are new tensors that share no memory
    with inputs. Threads may call one model at once.

    :meth:`forward` is differentiable: where an input, a promoted parameter or an override requires
    grad, so do its outputs, and their gradients are exact. Forward-mode AD, ``torch.func``
    (``grad``, ``vjp``, ``jvp``, ``jacrev``, ``jacfwd``, ``vmap``) and ``torch.compile`` work as
    well. Second derivatives do not exist (:class:`UnsupportedFeatureError`). A pair that was not
    compiled raises :class:`DerivativeNotCompiledError` when its gradient is needed: in reverse mode
    when gradients are computed, in forward mode when the model is called. Results of the other
    operations never require grad.

    The methods below are documented here and run in the compiled core: an instance carries most of
    them as the core's own bound methods, so a call pays for no Python in between.
    """

    def __init__(
        self,
        path: str | Path,
        device: str | torch.device | None = None,
        dtype: str | torch.dtype | None = None,
        *,
        lock: str | None = None,
    ) -> None:
        """Read the metadata and check the files; graphs are opened when they first run.

        ``path``: the artifact's folder (``metadata.json`` with ``<device>/<dtype>/``, or
        ``<device>/*_meta.json`` as neml2 3.0.4 to 3.0.6 wrote it, or ``*_meta.json`` as earlier
        ones did) or the metadata file itself.
        ``device``: torch's default device unless given. ``dtype``: float64 where the artifact has
        it, else the only one there is. ``lock``: whether ``artifact.lock``, which ``neml2-aoti
        lock`` writes, is ignored (``off``), verified ``if-present``, or ``required``; the
        environment variable ``NEML2_AOTI_PLUGIN_LOCK`` may ask for more.

        Raises :class:`ArtifactError` (or a kind of it) for what is wrong on disk,
        :class:`IntegrityError` among them where a file is not as it was locked,
        :class:`LeafRequestError` for a device or dtype that no artifact has, and ImportError where
        the compiled core was built for another torch.
        """
        manifest = read_artifact(
            path, device=_device_name(device), dtype=_dtype_name(dtype), lock=lock
        )
        self._open(manifest)

    def _open(self, manifest: Manifest) -> None:
        from neml2_aoti_plugin import _core, solve_log
        from neml2_aoti_plugin.core_bridge import describe_model
        from neml2_aoti_plugin.operators import provide_operators

        provide_operators(manifest.operators)
        self._manifest = manifest
        self._differentiation = Differentiation(manifest)
        self._core: _core.Model = _core.Model(
            describe_model(manifest), solve_log, _unpacker(manifest.lock), self._differentiation
        )
        self._traced = TracedModel(self._core, self._differentiation)
        self._trainable: dict[str, torch.nn.Parameter] = {}
        self._reports: FailureReports | None = None
        self._solver_config: dict[str, Any] | None = None
        self._max_corrections = 0
        self._bind_operations()

    def _bind_operations(self) -> None:
        """As the core's own methods, unless failures are to be reported."""
        self._forward = self._core.forward if self._reports is None else self._reported_forward
        for name in _OPERATIONS:
            if self._reports is not None:
                self.__dict__.pop(name, None)
            elif getattr(type(self), name) is getattr(Model, name):
                setattr(self, name, getattr(self._core, name))

    def _run(
        self,
        operation: Callable[..., _Results],
        inputs: _Tensors,
        *directions: _Tensors,
        overrides: _Tensors | None,
        solves: list[SolveRecord] | None,
    ) -> _Results:
        call = partial(operation, inputs, *directions, overrides, solves)
        if self._reports is None:
            return call()
        return self._reports.watched(
            call,
            inputs,
            parameters=lambda: {**self._core.named_parameters(), **(overrides or {})},
            settings={"solver": self._solver_config, "max_corrections": self._max_corrections},
        )

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}('{self._manifest.metadata_file}', device='{self.device}', "
            f"dtype='{self._manifest.leaf.dtype}')"
        )

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Behind ``copy`` and ``pickle``."""
        raise TypeError(
            "a Model can be neither copied nor pickled; open the artifact again with Model(path)"
        )

    # --- what the artifact is

    @property
    def manifest(self) -> Manifest:
        """All that was read from the metadata."""
        return self._manifest

    @property
    def device(self) -> torch.device:
        """Device the artifact was compiled for, with an index only if one was asked for."""
        return self._core.device

    @property
    def dtype(self) -> torch.dtype:
        """Floating-point dtype of inputs and outputs."""
        return self._core.dtype

    @property
    def input_names(self) -> list[str]:
        """Input names in declared order."""
        return self._core.input_names

    @property
    def output_names(self) -> list[str]:
        """Output names in declared order."""
        return self._core.output_names

    @property
    def input_base_shapes(self) -> list[list[int]]:
        """Base shape of every input (Scalar ``[]``, SR2 ``[6]``, R2 ``[3, 3]``), in order."""
        return self._core.input_base_shapes

    @property
    def output_base_shapes(self) -> list[list[int]]:
        """Base shape of every output, in order."""
        return self._core.output_base_shapes

    @property
    def parameter_base_shapes(self) -> dict[str, list[int]]:
        """Base shape of every promoted parameter."""
        return self._core.parameter_base_shapes

    # --- evaluation

    # Every operation takes, beside its own arguments,
    #   param_overrides  values in place of promoted parameters, for this call only;
    #   solves           a list to which a SolveRecord is appended for every implicit segment.

    def forward(
        self,
        inputs: _Tensors,
        param_overrides: _Tensors | None = None,
        solves: list[SolveRecord] | None = None,
    ) -> dict[str, torch.Tensor]:
        """Evaluate the model.

        ``inputs``: a tensor for every name in :attr:`input_names`; other names are ignored.
        ``param_overrides``: values ``(*batch, *parameter_base)`` that replace promoted parameters
        for this call, the stored ones staying as they are. ``solves``: a list that is extended by
        one :class:`~neml2_aoti_plugin.solves.SolveRecord` per implicit segment, also where one
        fails.

        Returns one tensor ``(*batch, *sub_batch, *base)`` per name in :attr:`output_names`, in that
        order, ``batch`` being the broadcast of the batch shapes of all inputs and parameters.

        Raises :class:`InputError` and :class:`InputTypeError` naming the input or parameter that
        does not fit, and :class:`ConvergenceError` with data on every row if a solve fails for some
        of them.
        """
        if is_compiling():
            return self._traced.forward(inputs, {**self._trainable, **(param_overrides or {})})
        return self._forward(inputs, param_overrides, solves)

    def _reported_forward(
        self,
        inputs: _Tensors,
        param_overrides: _Tensors | None,
        solves: list[SolveRecord] | None,
    ) -> dict[str, torch.Tensor]:
        return self._run(self._core.forward, inputs, overrides=param_overrides, solves=solves)

    def forward_natural(
        self,
        inputs: _Tensors,
        param_overrides: _Tensors | None = None,
        solves: list[SolveRecord] | None = None,
    ) -> dict[str, torch.Tensor]:
        """Like :meth:`forward`, each output at the batch shape it really depends on.

        As the host's native models do, an output that no batched value reaches has no batch axes,
        and the unknowns of a solve that accepts its guess for every row have the batch of the
        guess. Dependence is known per segment: one batched input of a forward segment gives all
        its outputs the batch, but for constants.
        """
        return self._run(
            self._core.forward_natural, inputs, overrides=param_overrides, solves=solves
        )

    def jvp(
        self,
        inputs: _Tensors,
        tangents: _Tensors,
        param_overrides: _Tensors | None = None,
        solves: list[SolveRecord] | None = None,
    ) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
        """Evaluate the model and its derivative in the direction of ``tangents``.

        ``tangents``: shaped like their inputs, batch axes broadcasting to the batch of the inputs;
        an input without one stands still. Returns (outputs, derivatives); the second holds the
        outputs that a compiled pair differentiates, each in its own shape: what contracting the
        blocks of :meth:`jacobian` gives, so that pairs that were not compiled add nothing.

        Raises what :meth:`forward` raises, and :class:`DerivativeNotCompiledError` where the
        artifact carries no derivative with respect to an input that has a tangent.
        """
        return self._run(self._core.jvp, inputs, tangents, overrides=param_overrides, solves=solves)

    def jacobian(
        self,
        inputs: _Tensors,
        param_overrides: _Tensors | None = None,
        solves: list[SolveRecord] | None = None,
    ) -> tuple[dict[str, torch.Tensor], dict[str, dict[str, torch.Tensor]]]:
        """Evaluate the model and its derivative blocks.

        Returns (outputs, J) with ``J[output][input]`` of shape ``(*batch, *sub_batch,
        *output_base, *input_base)`` for the pairs compiled with ``neml2-compile -d``; between two
        sub-batched variables it is the derivative at the same site. A block that the artifact
        knows to be the same for every row comes without batch axes. Implicit segments are
        differentiated by the implicit-function theorem at their solution, substep by substep.

        Raises what :meth:`forward` raises, and :class:`DerivativeNotCompiledError` where the
        artifact carries no derivatives.
        """
        return self._run(self._core.jacobian, inputs, overrides=param_overrides, solves=solves)

    def differentiable_jacobian(
        self, inputs: _Tensors
    ) -> tuple[dict[str, torch.Tensor], dict[str, dict[str, torch.Tensor]]]:
        """Like :meth:`jacobian`, with results that know their gradients.

        Where gradients are recorded, those of the outputs are exact; those of the blocks would be
        second derivatives, and computing them raises :class:`UnsupportedFeatureError`. Costs
        another evaluation then.
        """
        outputs, blocks = self._core.jacobian(inputs)
        if not is_tracked((*inputs.values(), *self._core.named_parameters().values())):
            return outputs, blocks
        values = self._core.forward(inputs)
        tracked = next(iter(values.values()))
        guard = self._differentiation.first_order
        return values, {
            output: {name: guard(block, tracked) for name, block in row.items()}
            for output, row in blocks.items()
        }

    def param_jacobian(
        self,
        inputs: _Tensors,
        param_overrides: _Tensors | None = None,
        solves: list[SolveRecord] | None = None,
    ) -> tuple[dict[str, torch.Tensor], dict[str, dict[str, torch.Tensor]]]:
        """Evaluate the model and its derivatives with respect to promoted parameters.

        Returns (outputs, P) with ``P[output][parameter]`` of shape ``(*batch, *output_base,
        *parameter_base)`` for the pairs compiled with ``neml2-compile --parameter NAME -d
        OUT:NAME``: each row's output by the value of the parameter in that row, also where one
        value serves all rows.

        Raises what :meth:`forward` raises, and :class:`DerivativeNotCompiledError` where the
        artifact carries no parameter derivatives.
        """
        return self._run(
            self._core.param_jacobian, inputs, overrides=param_overrides, solves=solves
        )

    def param_vjp(
        self,
        inputs: _Tensors,
        cotangents: _Tensors,
        param_overrides: _Tensors | None = None,
        solves: list[SolveRecord] | None = None,
    ) -> dict[str, torch.Tensor]:
        """Gradients of ``sum(cotangent * output)`` with respect to promoted parameters.

        ``cotangents``: shaped like their outputs, batch axes broadcasting to the batch of the
        inputs; an output without one does not count. Returns one gradient per parameter that a
        compiled pair names: ``(*parameter_base)``, summed over the batch, for a parameter without
        batch axes, else ``(*batch, *parameter_base)``, row by row.

        Raises what :meth:`param_jacobian` raises, and :class:`InputError` for a cotangent that is
        not of an output or does not fit it.
        """
        return self._run(
            self._core.param_vjp, inputs, cotangents, overrides=param_overrides, solves=solves
        )

    # --- parameters and settings

    def named_parameters(self) -> dict[str, torch.Tensor]:
        """The promoted parameters, live: changes in place count from the next call on.

        The dictionary is new at each call; replacing an entry of it changes nothing in the model,
        which is what :meth:`set_parameter` is for.
        """
        return self._core.named_parameters()

    def set_parameter(self, name: str, value: torch.Tensor) -> None:
        """Replace a promoted parameter by ``value`` of shape ``(*batch, *base)``.

        Raises :class:`InputError` for an unknown name or a shape that does not fit and
        :class:`InputTypeError` for another dtype or device; the parameter is unchanged then.
        """
        self._core.set_parameter(name, value)
        self._trainable.pop(name, None)

    def trainable_parameters(self, *names: str) -> dict[str, torch.nn.Parameter]:
        """The named promoted parameters, all of them by default, as leaves that require grad.

        They are bound to the model: what an optimiser writes counts from the next call on, and
        gradients of outputs reach their ``grad``. Asked for again, they are the same objects, until
        :meth:`set_parameter` replaces them.

        Raises :class:`InputError` for an unknown name and for a parameter that is no floating-point
        number.
        """
        present = self._core.named_parameters()
        for name in names or present:
            if name not in present:
                known = ", ".join(present) or "none"
                raise InputError(f"no promoted parameter '{name}'; this artifact has: {known}")
            if not present[name].is_floating_point():
                raise InputError(
                    f"parameter '{name}' has the dtype {present[name].dtype}, which has no "
                    "gradients. Leave it out."
                )
        return {name: self._trainable_parameter(name, present[name]) for name in names or present}

    def _trainable_parameter(self, name: str, value: torch.Tensor) -> torch.nn.Parameter:
        if name not in self._trainable:
            parameter = torch.nn.Parameter(value.detach())
            self._core.set_parameter(name, parameter)
            self._trainable[name] = parameter
        return self._trainable[name]

    def set_autograd(self, *, recompute: bool = False) -> None:
        """Say how reverse mode remembers a call.

        Unless told otherwise, a call keeps the solution of every solve until its gradient has been
        taken: some hundred bytes per row, and nothing is solved twice. ``recompute``: it keeps its
        inputs alone, and backward solves again. To keep less of a long history than the inputs of
        each step, put several steps into ``torch.utils.checkpoint``.
        """
        self._differentiation.recompute = recompute

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
        """Replace the settings of every Newton solve of the model.

        ``atol``, ``rtol``: a row has converged when ``|r| < atol`` or ``|r| < rtol |r0|``.
        ``miters``: how many Newton updates a row may take. ``ls_type``: ``BACKTRACKING`` or
        ``STRONG_WOLFE``. ``ls_max_iters``: one more than there are trial steps per update, as the
        host counts; 1 means full steps. ``ls_cutback``: divides the step after a rejected trial.
        ``ls_c``: demanded decrease.
        ``substep_del_tol``: relative size of the last update, for substepped solves only.

        Raises :class:`InputError` for a value that makes no sense; nothing has changed then.
        """
        from neml2_aoti_plugin.core_bridge import describe_newton

        settings = NewtonSettings(
            absolute_tolerance=_number("atol", atol, minimum=0.0),
            relative_tolerance=_number("rtol", rtol, minimum=0.0),
            max_iterations=_count("miters", miters, minimum=0),
            line_search=_line_search(ls_type),
            line_search_max_iterations=_count("ls_max_iters", ls_max_iters, minimum=0),
            line_search_cutback=_number("ls_cutback", ls_cutback, above=1.0),
            line_search_constant=_number("ls_c", ls_c, minimum=0.0),
            update_tolerance=_number("substep_del_tol", substep_del_tol, minimum=0.0),
        )
        self._core.set_newton(describe_newton(settings))
        self._solver_config = {
            "atol": settings.absolute_tolerance,
            "rtol": settings.relative_tolerance,
            "miters": settings.max_iterations,
            "ls_type": settings.line_search.value,
            "ls_max_iters": settings.line_search_max_iterations,
            "ls_cutback": settings.line_search_cutback,
            "ls_c": settings.line_search_constant,
            "substep_del_tol": settings.update_tolerance,
        }

    def set_execution(
        self,
        *,
        chunk_rows: int | None = None,
        threads: int | None = None,
        max_corrections: int = 0,
    ) -> None:
        """Say how calls are carried out; each call of this method says all of it.

        ``chunk_rows``: how many rows graphs run on at once; ``None``: as suits the caches of a
        processor. ``threads``: how many share the work of a call; ``None``: as many as torch uses
        (``torch.set_num_threads``). Results depend on neither.
        ``max_corrections``: how many steps a row may take between two Newton updates, by Broyden's
        method on the factors of the first; 0: plain Newton. Eight of them save a viscoplastic model
        two thirds of its matrices. A row that fails with corrections is solved again without; but
        results agree with those of plain Newton, and of the native model, within the tolerances of
        the solve only, and where a problem has several solutions another one may be found. Not used
        with a line search, substeps or a Krylov solver, nor where no more updates are allowed than
        corrections, nor for artifacts of neml2 3.0.6 and earlier, whose graphs return no matrix.

        Raises :class:`InputError` for a value that makes no sense; nothing has changed then.
        """
        corrections = _count(
            "max_corrections", max_corrections, minimum=0, operation="set_execution"
        )
        self._core.set_execution(
            chunk_rows=_optional_count("chunk_rows", chunk_rows),
            threads=_optional_count("threads", threads),
            max_corrections=corrections,
        )
        self._max_corrections = corrections

    def set_on_failure(self, action: str, folder: str | Path = DEFAULT_FOLDER) -> None:
        """Say what a call does when a solve fails for some rows. In any case all rows are tried.

        ``raise``, as models do unless told otherwise: :class:`ConvergenceError`, with data on every
        row.
        ``nan``: the call returns. All its results for such a row are not a number, and the row adds
        nothing to gradients; those of the other rows are what they are without it. A warning names
        the rows, and :func:`neml2_aoti_plugin.solves.row_status` of the call's ``solves`` tells
        what became of each.
        ``dump``: like ``raise``, and a new folder in ``folder`` holds all that it takes to run the
        failed rows again: see :mod:`neml2_aoti_plugin.failure_report`. The error names it and has
        its path as ``report``. There are at most twenty of them for one model.

        Raises :class:`InputError` for another word; nothing has changed then.
        """
        action = checked_action(action)
        self._core.set_goes_on(action == "nan")
        self._reports = FailureReports(folder, self._manifest) if action == "dump" else None
        self._bind_operations()


_OPERATIONS = (
    "forward_natural",
    "jvp",
    "jacobian",
    "param_jacobian",
    "param_vjp",
    "named_parameters",
)
"""Methods that the core offers with the same signature."""


_LARGEST_COUNT = 2**31 - 1
"""As in metadata files."""


def _device_name(device: str | torch.device | None) -> str:
    if device is None:
        return str(torch.get_default_device())
    return str(device)


def _dtype_name(dtype: str | torch.dtype | None) -> str | None:
    if dtype is None:
        return None
    return str(dtype).removeprefix("torch.")


def _number(
    name: str, value: Any, *, minimum: float | None = None, above: float | None = None
) -> float:
    """``value`` as a float within its bounds; infinity is allowed, not-a-number is not."""
    if isinstance(value, bool) or not hasattr(value, "__float__"):
        raise TypeError(f"set_solver_config: {name} must be a number, got {value!r}")
    try:
        number = float(value)
    except (OverflowError, RuntimeError, TypeError, ValueError):
        raise InputError(f"set_solver_config: {name} is no single number: {value!r}") from None
    if minimum is not None and not number >= minimum:
        raise InputError(f"set_solver_config: {name} is {number}; expected at least {minimum}")
    if above is not None and not number > above:
        raise InputError(f"set_solver_config: {name} is {number}; expected more than {above}")
    return number


def _count(name: str, value: Any, *, minimum: int, operation: str = "set_solver_config") -> int:
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{operation}: {name} must be an integer, got {value!r}")
    count = int(value)
    if not minimum <= count <= _LARGEST_COUNT:
        raise InputError(f"{operation}: {name} is {count}; expected {minimum} to {_LARGEST_COUNT}")
    return count


def _line_search(name: str) -> LineSearch:
    try:
        return LineSearch(name)
    except ValueError:
        known = ", ".join(search.value for search in LineSearch)
        raise InputError(
            f"set_solver_config: ls_type is {name!r}; expected one of {known}"
        ) from None


def _optional_count(name: str, value: int | None) -> int:
    """0 for None, which is what the core takes for a choice of its own."""
    return 0 if value is None else _count(name, value, minimum=1, operation="set_execution")
