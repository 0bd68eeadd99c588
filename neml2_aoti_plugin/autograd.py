"""Compiled models as functions that torch differentiates.

A call whose tensors are tracked (reverse mode, forward mode, or a transform of ``torch.func``) is
led here by the core. Its gradients are exact: implicit segments are differentiated by the
implicit-function theorem at their solution, one transposed solve per row, substep by substep.

Three functions stand on one another:

    _Evaluation   y = f(x), the outputs from inputs and promoted parameters, in declared order
    _Carry        J(x) dx in forward mode, J(x)^T dy in reverse mode; each is the other's derivative
    _Once         the x of J, by which J cannot be differentiated again
"""

# torch calls jvp and vmap with what forward takes, and declares them with no such arguments.
# pyright: reportIncompatibleMethodOverride=false

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

import torch

from neml2_aoti_plugin.artifact.manifest import Manifest, model_label, sub_batch_shapes_inside
from neml2_aoti_plugin.errors import DerivativeNotCompiledError, UnsupportedFeatureError

if TYPE_CHECKING:
    from neml2_aoti_plugin import _core
    from neml2_aoti_plugin.solves import SolveRecord

Tensors: TypeAlias = Mapping[str, torch.Tensor]
_Tensors: TypeAlias = Sequence[torch.Tensor]
_Gradients: TypeAlias = tuple[torch.Tensor | None, ...]


@dataclass(frozen=True, slots=True)
class _Argument:
    """A tensor that a model depends on."""

    name: str
    is_parameter: bool
    tail_ndim: int
    """How many axes follow those of the batch."""


class Differentiation:
    """How one model is differentiated; the core calls it in place of evaluating."""

    def __init__(self, manifest: Manifest) -> None:
        self.label = model_label(manifest)
        self.arguments = tuple(
            _Argument(v.public_name, False, len(v.sub_batch_shape or ()) + len(v.base_shape))
            for v in manifest.inputs
        ) + tuple(_Argument(p.public_name, True, len(p.base_shape)) for p in manifest.parameters)
        self.outputs = tuple(variable.public_name for variable in manifest.outputs)
        self.pairs = _public_pairs(manifest)
        self.output_tails = _output_tails(manifest)
        """Shapes of the outputs without the batch, (*sub_batch, *base), as far as is known."""
        self.recompute = False
        """Whether reverse mode evaluates the model again in place of keeping its solution."""

    def __call__(
        self,
        core: _core.Model,
        inputs: Tensors,
        overrides: Tensors | None,
        solves: list[SolveRecord] | None,
    ) -> dict[str, torch.Tensor]:
        """:meth:`neml2_aoti_plugin.Model.forward` with outputs that know their gradients."""
        values = {**core.named_parameters(), **(overrides or {})}
        if not _is_complete(self.arguments, inputs, values):
            with torch.no_grad():
                return core.forward(inputs, overrides, solves)  # which says what is wrong
        tensors = [(values if a.is_parameter else inputs)[a.name] for a in self.arguments]
        call = _Call(core, self, solves, keeps_solution=not self.recompute and is_tracked(tensors))
        found: tuple[torch.Tensor, ...] = _Evaluation.apply(call, *tensors)  # type: ignore[no-untyped-call]
        return dict(zip(self.outputs, found, strict=True))

    def require_pairs(
        self,
        outputs: Iterable[str],
        columns: Iterable[str],
        *,
        subject: str,
        way_out: str = "detach",
    ) -> None:
        """Raise :class:`DerivativeNotCompiledError` unless all outputs by all columns are there."""
        parameters = {a.name for a in self.arguments if a.is_parameter}
        for column in columns:
            missing = [output for output in outputs if (output, column) not in self.pairs]
            if missing:
                promoted = f"--parameter {column} " if column in parameters else ""
                flags = " ".join(f"-d {output}:{column}" for output in missing)
                raise DerivativeNotCompiledError(
                    f"{subject} of {', '.join(missing)} by '{column}' were asked for, but "
                    f"{self.label} was compiled without; recompile it with neml2-compile "
                    f"{promoted}{flags} beside the present options, or {way_out} '{column}'"
                )

    def first_order(self, derivative: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        """The derivative of ``value``, which requires grad, as a tensor that cannot be
        differentiated again."""
        found: torch.Tensor = _Derivative.apply(derivative, value, self)  # type: ignore[no-untyped-call]
        return found


def _public_pairs(manifest: Manifest) -> frozenset[tuple[str, str]]:
    """The pairs (output, input or parameter) whose derivatives the artifact carries."""
    public = {v.name: v.public_name for v in (*manifest.inputs, *manifest.outputs)}
    public |= {parameter.name: parameter.public_name for parameter in manifest.parameters}
    pairs = (*manifest.derivatives, *manifest.parameter_derivatives)
    return frozenset((public[output], public[column]) for output, column in pairs)


def _output_tails(manifest: Manifest) -> tuple[tuple[int, ...], ...]:
    """An artifact records sub-batch axes of inputs and of what solves see; a variable that it says
    nothing of is taken to have none."""
    known = sub_batch_shapes_inside(manifest)
    return tuple(
        (*(variable.sub_batch_shape or known.get(variable.name, ())), *variable.base_shape)
        for variable in manifest.outputs
    )


def _is_complete(arguments: Iterable[_Argument], inputs: Tensors, parameters: Tensors) -> bool:
    known = {argument.name for argument in arguments if argument.is_parameter}
    return all(a.name in inputs for a in arguments if not a.is_parameter) and known >= set(
        parameters
    )


def is_tracked(tensors: Iterable[torch.Tensor]) -> bool:
    """Whether gradients by one of the tensors are recorded."""
    return torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)


@dataclass(eq=False)
class _Call:
    """One call: everything about it but its tensors."""

    core: _core.Model
    model: Differentiation
    solves: list[SolveRecord] | None
    keeps_solution: bool
    recording: _core.Recording | None = None

    def again(self) -> _Call:
        """The same for other tensors."""
        return replace(self, keeps_solution=False, recording=None)

    def split(self, tensors: _Tensors) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
        """Inputs and parameters by name."""
        named = tuple(zip(self.model.arguments, tensors, strict=True))
        inputs = {argument.name: tensor for argument, tensor in named if not argument.is_parameter}
        return inputs, {a.name: tensor for a, tensor in named if a.is_parameter}

    def evaluate(self, tensors: _Tensors) -> tuple[torch.Tensor, ...]:
        inputs, parameters = self.split(tensors)
        if self.keeps_solution:
            outputs, self.recording = self.core.record(inputs, parameters, self.solves)
        else:
            outputs = self.core.forward(inputs, parameters, self.solves)
        return tuple(outputs[name] for name in self.model.outputs)

    def pull_back(
        self, tensors: _Tensors, cotangents: Tensors, wanted: Sequence[bool]
    ) -> tuple[torch.Tensor, ...]:
        """Gradients by the wanted tensors, each of the shape of its tensor."""
        inputs, parameters = self.split(tensors)
        recording = self.recording
        if recording is None:
            _, recording = self.core.record(inputs, parameters)
        chosen = [argument for argument, is_wanted in self._with(wanted) if is_wanted]
        by_input, by_parameter = self.core.pull_back(
            recording,
            cotangents,
            {argument.name for argument in chosen if not argument.is_parameter},
            {argument.name for argument in chosen if argument.is_parameter},
        )
        return tuple(
            (by_parameter if a.is_parameter else by_input)[a.name].sum_to_size(tensor.shape)
            for a, tensor in zip(chosen, _chosen(tensors, wanted), strict=True)
        )

    def push_forward(
        self, tensors: _Tensors, tangents: _Gradients, outputs: Sequence[str]
    ) -> tuple[torch.Tensor, ...]:
        """Derivatives of these outputs in the direction of the tangents."""
        moving = [(a, tangent) for a, tangent in self._with(tangents) if tangent is not None]
        columns = [argument.name for argument, _ in moving]
        self.model.require_pairs(outputs, columns, subject="forward-mode derivatives")
        inputs, parameters = self.split(tensors)
        directions = {a.name: tangent for a, tangent in moving if not a.is_parameter}
        values, total = (
            self.core.jvp(inputs, directions, parameters)
            if directions
            else (self.core.forward(inputs, parameters), {})
        )
        by_parameter = [(a, tangent) for a, tangent in moving if a.is_parameter]
        if by_parameter:
            _, blocks = self.core.param_jacobian(inputs, parameters)
            batch_ndim = _batch_ndim(self.model.arguments, tensors)
            for output in outputs:
                for argument, tangent in by_parameter:
                    part = _product(blocks[output][argument.name], tangent, argument, batch_ndim)
                    total[output] = total[output] + part if output in total else part
        return tuple(total[o] if o in total else torch.zeros_like(values[o]) for o in outputs)

    def _with(self, values: Iterable[Any]) -> Iterable[tuple[_Argument, Any]]:
        return zip(self.model.arguments, values, strict=True)


def _chosen(values: Iterable[Any], flags: Iterable[bool]) -> list[Any]:
    return [value for value, flag in zip(values, flags, strict=True) if flag]


def _product(
    block: torch.Tensor, direction: torch.Tensor, argument: _Argument, batch_ndim: int
) -> torch.Tensor:
    """A block (*batch, *output, *parameter) times a direction (*own_batch, *parameter)."""
    tail = argument.tail_ndim
    output_ndim = block.ndim - batch_ndim - tail
    own_ndim = direction.ndim - tail
    own, last = direction.shape[:own_ndim], direction.shape[own_ndim:]
    product = block * direction.reshape(*own, *(1,) * output_ndim, *last)
    return product.sum(tuple(range(-tail, 0))) if tail else product


def evaluate_once(
    core: _core.Model, model: Differentiation, tensors: _Tensors, given: Sequence[int]
) -> tuple[torch.Tensor, ...]:
    """Outputs, in declared order, that know nothing of gradients. ``given``: which arguments the
    tensors are; the others are parameters that stay as they are stored."""
    call = _Call(core, model, None, keeps_solution=False)
    return call.evaluate(_completed(core, model, tensors, given))


def gradients_once(
    core: _core.Model,
    model: Differentiation,
    tensors: _Tensors,
    given: Sequence[int],
    cotangents: _Tensors,
    outputs: Sequence[int],
    wanted: Sequence[int],
) -> tuple[torch.Tensor, ...]:
    """Gradients by the wanted of ``tensors``, from the cotangents of these outputs."""
    call = _Call(core, model, None, keeps_solution=False)
    positions = {given[k] for k in wanted}
    named = {model.outputs[k]: value for k, value in zip(outputs, cotangents, strict=True)}
    flags = [k in positions for k in range(len(model.arguments))]
    return call.pull_back(_completed(core, model, tensors, given), named, flags)


def _completed(
    core: _core.Model, model: Differentiation, tensors: _Tensors, given: Sequence[int]
) -> list[torch.Tensor]:
    by_position = dict(zip(given, tensors, strict=True))
    stored = core.named_parameters()
    complete = []
    for position, argument in enumerate(model.arguments):
        if position in by_position:
            complete.append(by_position[position])
            continue
        value = stored[argument.name]
        if value.requires_grad:
            raise UnsupportedFeatureError(
                f"parameter '{argument.name}' requires grad, but a function that torch.compile "
                "traced cannot see it. Get it from trainable_parameters(), or pass it in "
                "param_overrides."
            )
        complete.append(value)
    return complete


class _Evaluation(torch.autograd.Function):
    """The outputs of a call."""

    @staticmethod
    def forward(call: _Call, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return call.evaluate(tensors)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.call, *tensors = inputs
        # Kept by torch, which then tells of values that were changed in place.
        ctx.save_for_backward(*tensors)
        ctx.save_for_forward(*tensors)
        ctx.set_materialize_grads(False)

    @staticmethod
    def backward(ctx: Any, *cotangents: torch.Tensor | None) -> _Gradients:
        wanted = ctx.needs_input_grad[1:]
        everything = _Linear(ctx.call, ctx.call.model.outputs, wanted, is_reverse=True)
        gradients = iter(_carry(everything, cotangents, ctx.saved_tensors))
        return (None, *(next(gradients, None) if is_wanted else None for is_wanted in wanted))

    @staticmethod
    def jvp(ctx: Any, _: None, *tangents: torch.Tensor | None) -> _Gradients:
        everything = _Linear(
            ctx.call, ctx.call.model.outputs, (True,) * len(tangents), is_reverse=False
        )
        return _carry(everything, tangents, ctx.saved_tensors)

    @staticmethod
    def vmap(info: Any, in_dims: Any, call: _Call, *tensors: torch.Tensor) -> Any:
        batched = _batched(call.model.arguments, tensors, in_dims[1:], info.batch_size)
        outputs = _Evaluation.apply(call.again(), *batched)  # type: ignore[no-untyped-call]
        return outputs, (0,) * len(outputs)


@dataclass(frozen=True, slots=True)
class _Linear:
    """What the Jacobian of a call does to tangents of some tensors, giving those of some outputs;
    or its transpose to cotangents of these outputs, giving gradients by these tensors."""

    call: _Call
    outputs: tuple[str, ...]
    moving: tuple[bool, ...]
    """By argument of the call."""
    is_reverse: bool

    @property
    def count(self) -> int:
        """How many tensors are carried."""
        return len(self.outputs) if self.is_reverse else sum(self.moving)

    def restricted(self, kept: Sequence[bool], *, is_reverse: bool) -> _Linear:
        """The map from or to the kept ones of what is carried: outputs for cotangents
        (``is_reverse``), else tensors."""
        if is_reverse:
            return replace(self, outputs=tuple(_chosen(self.outputs, kept)))
        flags = iter(kept)
        return replace(self, moving=tuple(moves and next(flags) for moves in self.moving))

    def __call__(self, carried: _Tensors, tensors: _Tensors) -> tuple[torch.Tensor, ...]:
        if self.is_reverse:
            named = dict(zip(self.outputs, carried, strict=True))
            return self.call.pull_back(tensors, named, self.moving)
        remaining = iter(carried)
        tangents = tuple(next(remaining) if moves else None for moves in self.moving)
        return self.call.push_forward(tensors, tangents, self.outputs)


def _carry(
    linear: _Linear, carried: Sequence[torch.Tensor | None], tensors: _Tensors
) -> _Gradients:
    """``linear`` on what there is of ``carried``; nothing where there is nothing."""
    present = [value is not None for value in carried]
    if not any(present):
        return ()
    some = linear.restricted(present, is_reverse=linear.is_reverse)
    guarded = tensors
    if torch.is_grad_enabled():
        guarded = [_Once.apply(tensor, linear.call.model) for tensor in tensors]  # type: ignore[no-untyped-call]
    results: tuple[torch.Tensor, ...] = _Carry.apply(some, *_chosen(carried, present), *guarded)  # type: ignore[no-untyped-call]
    return results


class _Carry(torch.autograd.Function):
    """A linear map, differentiable in what it carries and in nothing else."""

    @staticmethod
    def forward(linear: _Linear, *values: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return linear(values[: linear.count], values[linear.count :])

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.linear, *values = inputs
        tensors = values[ctx.linear.count :]
        ctx.save_for_backward(*tensors)
        ctx.save_for_forward(*tensors)
        ctx.set_materialize_grads(False)

    @staticmethod
    def backward(ctx: Any, *directions: torch.Tensor | None) -> _Gradients:
        linear: _Linear = ctx.linear
        tensors = ctx.saved_tensors
        transposed = replace(linear, is_reverse=not linear.is_reverse)
        results = _carry(transposed, directions, tensors) or (None,) * linear.count
        # The zeros are for _Once, which refuses them where somebody asks.
        return (None, *results, *(torch.zeros_like(tensor) for tensor in tensors))

    @staticmethod
    def jvp(ctx: Any, _: None, *tangents: torch.Tensor | None) -> _Gradients:
        linear: _Linear = ctx.linear
        if any(tangent is not None for tangent in tangents[linear.count :]):
            _refuse_second_derivative(linear.call.model)
        return _carry(linear, tangents[: linear.count], ctx.saved_tensors)

    @staticmethod
    def vmap(info: Any, in_dims: Any, linear: _Linear, *values: torch.Tensor) -> Any:
        count, size = linear.count, info.batch_size
        arguments = linear.call.model.arguments
        tensors, tensor_dims = values[count:], in_dims[1 + count :]
        batched = _batched(arguments, tensors, tensor_dims, size, is_expanded=True)
        ndim = _batch_ndim(arguments, tensors, tensor_dims)
        like = [None] * count if linear.is_reverse else _chosen(arguments, linear.moving)
        carried = [
            _with_axis(argument, value, dim, ndim)
            for argument, value, dim in zip(
                like, values[:count], in_dims[1 : 1 + count], strict=True
            )
        ]
        again = replace(linear, call=linear.call.again())
        results = _Carry.apply(again, *carried, *batched)  # type: ignore[no-untyped-call]
        if linear.is_reverse:
            shapes = [_own_shape(t, dim) for t, dim in zip(tensors, tensor_dims, strict=True)]
            chosen = _chosen(shapes, linear.moving)
            results = tuple(r.reshape(size, *s) for r, s in zip(results, chosen, strict=True))
        return results, (0,) * len(results)


class _Once(torch.autograd.Function):
    """The value, where a first derivative is taken; its gradient is a second one."""

    @staticmethod
    def forward(tensor: torch.Tensor, model: Differentiation) -> torch.Tensor:
        return tensor.view_as(tensor)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.model = inputs[1]

    @staticmethod
    def backward(ctx: Any, *_: Any) -> Any:
        _refuse_second_derivative(ctx.model)

    @staticmethod
    def jvp(ctx: Any, *_: Any) -> Any:
        _refuse_second_derivative(ctx.model)

    @staticmethod
    def vmap(info: Any, in_dims: Any, tensor: torch.Tensor, model: Differentiation) -> Any:
        return _Once.apply(tensor, model), in_dims[0]  # type: ignore[no-untyped-call]


class _Derivative(torch.autograd.Function):
    """A derivative, in the place of what it was computed from."""

    @staticmethod
    def forward(
        derivative: torch.Tensor, value: torch.Tensor, model: Differentiation
    ) -> torch.Tensor:
        return derivative.view_as(derivative)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.model = inputs[2]

    @staticmethod
    def backward(ctx: Any, *_: Any) -> Any:
        _refuse_second_derivative(ctx.model)


def _refuse_second_derivative(model: Differentiation) -> NoReturn:
    raise UnsupportedFeatureError(
        f"a second derivative of compiled model '{model.label}' was asked for; an artifact carries "
        "first derivatives only. Leave create_graph out where they suffice, or differentiate the "
        "native model."
    )


# --- axes of torch.func.vmap


def _own_shape(tensor: torch.Tensor, dim: int | None) -> tuple[int, ...]:
    return tuple(tensor.shape if dim is None else tensor.movedim(dim, 0).shape[1:])


def _batch_ndim(
    arguments: Sequence[_Argument],
    tensors: _Tensors,
    dims: Sequence[int | None] | None = None,
) -> int:
    """Rank of the batch of a call, without the axis that vmap adds."""
    dims = dims or [None] * len(tensors)
    return max(
        len(_own_shape(tensor, dim)) - argument.tail_ndim
        for argument, tensor, dim in zip(arguments, tensors, dims, strict=True)
    )


def _with_axis(
    argument: _Argument | None, tensor: torch.Tensor, dim: int | None, ndim: int
) -> torch.Tensor:
    """The axis of vmap, or one of extent 1, in front of a batch of rank ``ndim``; a tensor of no
    argument has that rank already."""
    leading = tensor.unsqueeze(0) if dim is None else tensor.movedim(dim, 0)
    padding = 0 if argument is None else ndim + argument.tail_ndim - (leading.ndim - 1)
    return leading.reshape(leading.shape[0], *(1,) * padding, *leading.shape[1:])


def _batched(
    arguments: Sequence[_Argument],
    tensors: _Tensors,
    dims: Sequence[int | None],
    size: int,
    *,
    is_expanded: bool = False,
) -> list[torch.Tensor]:
    """Tensors whose batch has the axis of vmap in front; those that have none broadcast, unless all
    are to be expanded."""
    ndim = _batch_ndim(arguments, tensors, dims)
    batched = []
    for argument, tensor, dim in zip(arguments, tensors, dims, strict=True):
        if dim is not None or is_expanded:
            tensor = _with_axis(argument, tensor, dim, ndim)
        batched.append(tensor.expand(size, *tensor.shape[1:]) if is_expanded else tensor)
    return batched
