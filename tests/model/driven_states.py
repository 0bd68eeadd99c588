"""The inputs that a native driver hands to its model, as rows for the compiled one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from neml2_aoti_plugin import Model


def driven_states(model_file: Path, driver: str, compiled: Model) -> dict[str, torch.Tensor]:
    """Inputs of every step of ``driver``, by name: ``(steps * points, *sub_batch, *base)``.

    The driver runs the native model; ``compiled`` says which shape each input has.
    """
    import neml2

    loaded = neml2.load_input(str(model_file)).get_driver(driver)
    calls: list[tuple[Any, ...]] = []
    loaded.model.register_forward_pre_hook(lambda _, arguments: calls.append(arguments))
    loaded.run()
    names = list(loaded.model.input_spec)
    steps = [_rows(dict(zip(names, arguments, strict=True)), compiled) for arguments in calls]
    return {name: torch.cat([step[name] for step in steps]) for name in steps[0]}


def _rows(arguments: dict[str, Any], compiled: Model) -> dict[str, torch.Tensor]:
    """The arguments of one call, all with the batch that they have together."""
    shapes = {
        variable.public_name: (*(variable.sub_batch_shape or ()), *variable.base_shape)
        for variable in compiled.manifest.inputs
    }
    batch = torch.broadcast_shapes(*(value.dynamic_batch_shape for value in arguments.values()))
    return {
        name: arguments[name].data.detach().expand(*batch, *shape).reshape(-1, *shape)
        for name, shape in shapes.items()
    }
