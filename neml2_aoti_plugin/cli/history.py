"""What a driver computed, as arrays over steps: for tables, plots and files.

Arrays have the shape ``(steps, *batch, *sub_batch, *base)``. A step in which a variable has no
value (outputs before the first step) is NaN.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from neml2_aoti_plugin.cli.outcome import UsageError

if TYPE_CHECKING:
    import torch

_COMPONENT = re.compile(r"^(?P<name>[^\[\]]+)(?:\[(?P<index>[^\[\]]*)\])?$")

COMPONENTS = {
    "SR2": ("xx", "yy", "zz", "yz", "xz", "xy"),
    "Vec": ("x", "y", "z"),
    "WR2": ("x", "y", "z"),
    "R2": ("xx", "xy", "xz", "yx", "yy", "yz", "zx", "zy", "zz"),
}
"""Names of components in storage order; those of SR2 are Mandel's, shear times the root of two."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """One input or output over all steps."""

    name: str
    type_name: str
    values: torch.Tensor
    sub_batch_shape: tuple[int, ...]
    base_shape: tuple[int, ...]

    def rows(self) -> torch.Tensor:
        """``(steps, rows, components)``: batch axes flattened, sites and base axes, too."""
        steps = self.values.shape[0]
        inner = self.sub_batch_shape + self.base_shape
        batch = self.values.shape[1 : self.values.ndim - len(inner)]
        return self.values.reshape(steps, batch.numel(), -1)

    def component_names(self) -> list[str]:
        """One per component of :meth:`rows`: ``xx``, or ``site,component``; ``""`` for a scalar."""
        named = COMPONENTS.get(self.type_name)
        base = list(named) if named else [*_indices(self.base_shape)]
        sites = [*_indices(self.sub_batch_shape)]
        return [",".join(part for part in (site, name) if part) for site in sites for name in base]

    def labels(self) -> list[str]:
        """Component names with the name of the variable: ``stress[xx]``."""
        return [f"{self.name}[{part}]" if part else self.name for part in self.component_names()]


def _indices(shape: tuple[int, ...]) -> Iterator[str]:
    for index in itertools.product(*(range(extent) for extent in shape)):
        yield ",".join(str(each) for each in index)


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One component over steps, ``(steps, rows)``."""

    label: str
    values: torch.Tensor


class History:
    """All variables of a driver that ran, or ran until a step failed."""

    def __init__(self, driver: Any) -> None:
        self.inputs = _collect(driver.result_in, driver.model.input_spec)
        self.outputs = _collect(driver.result_out, driver.model.output_spec)
        self.time_name: str = driver.time_name
        self.result: dict[str, torch.Tensor] = {
            name: value.detach().clone() for name, value in driver.result().items()
        }
        """``input.STEP.NAME`` and ``output.STEP.NAME``, as neml2-run saves them."""
        self.times: torch.Tensor = driver.prescribed_time.data.detach()

    def variables(self) -> list[Variable]:
        """Inputs, then outputs."""
        return [*self.inputs.values(), *self.outputs.values()]

    def series(self, text: str) -> Series:
        """``stress[0]``, ``stress[xx]``, ``spin[2,x]`` (site, component), or the name of a scalar.

        Raises UsageError that lists what there is.
        """
        match = _COMPONENT.match(text.strip())
        name = match["name"] if match else text
        if name == self.time_name and name not in self.inputs:
            return Series(label=name, values=self.times.reshape(len(self.times), -1))
        variable = self.outputs.get(name) or self.inputs.get(name)
        if variable is None or match is None:
            listed = ", ".join(dict.fromkeys([*self.outputs, *self.inputs]))
            raise UsageError(f"'{text}' names no variable of this run; there are: {listed}.")
        rows = variable.rows()
        position = _position(variable, match["index"])
        label = variable.labels()[position]
        return Series(label=label, values=rows[..., position])


def _position(variable: Variable, index: str | None) -> int:
    names = variable.component_names()
    if index is None and len(names) == 1:
        return 0
    wanted = (index or "").replace(" ", "")
    numbered = [
        ",".join(part for part in (site, base) if part)
        for site in _indices(variable.sub_batch_shape)
        for base in _indices(variable.base_shape)
    ]
    for known in (names, numbered):
        if wanted in known:
            return known.index(wanted)
    if wanted.isdigit() and int(wanted) < len(names):
        return int(wanted)
    listed = ", ".join(f"[{name}]" for name in names[:12]) + (" ..." if len(names) > 12 else "")
    raise UsageError(
        f"'{variable.name}' has {len(names)} components: {listed}, or by number "
        f"[0] to [{len(names) - 1}]; "
        + (f"'[{index}]' is none of them." if index else "say which one.")
    )


def _collect(steps: list[dict[str, Any]], spec: dict[str, Any]) -> dict[str, Variable]:
    names = dict.fromkeys(name for name in spec if any(name in step for step in steps))
    return {name: _over_steps(name, steps, spec[name]) for name in names}


def _over_steps(name: str, steps: list[dict[str, Any]], wrapper: Any) -> Variable:
    import torch

    values = [step[name] for step in steps if name in step]
    base = tuple(wrapper.BASE_SHAPE)
    sites: tuple[int, ...] = max((tuple(value.sub_batch_shape) for value in values), key=len)
    broadcast: Any = torch.broadcast_shapes
    batch = tuple(broadcast(*(tuple(value.dynamic_batch_shape) for value in values)))
    shape = (*batch, *sites, *base)
    first = values[0].data
    nothing = torch.full(shape, float("nan"), dtype=first.dtype, device=first.device)
    stacked = [
        _expanded(step[name], batch, sites, base) if name in step else nothing for step in steps
    ]
    return Variable(
        name=name,
        type_name=wrapper.__name__,
        values=torch.stack(stacked).detach().cpu(),
        sub_batch_shape=sites,
        base_shape=base,
    )


def _expanded(
    value: Any, batch: tuple[int, ...], sites: tuple[int, ...], base: tuple[int, ...]
) -> torch.Tensor:
    data: torch.Tensor = value.data.detach()
    own = tuple(value.dynamic_batch_shape)
    inner = tuple(value.sub_batch_shape) or (1,) * len(sites)
    return data.reshape((*own, *inner, *base)).expand((*batch, *sites, *base))
