"""What is known of a model while its segments are read in order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from neml2_aoti_plugin.artifact.fields import Fields
from neml2_aoti_plugin.artifact.manifest import KrylovSettings, NewtonSettings, Parameter, Shape


class BaseShapes:
    """Base shapes of the variables of one namespace, which must agree wherever they are given."""

    def __init__(self) -> None:
        self._declared: dict[str, tuple[Shape, str]] = {}

    def read(self, fields: Fields, name: str) -> Shape:
        """``base_shape`` of an entry that describes the variable ``name``."""
        shape = fields.shape("base_shape")
        known, declared_at = self._declared.setdefault(name, (shape, fields.where("base_shape")))
        if shape != known:
            raise fields.error("base_shape", f"{list(known)}, as in {declared_at}")
        return shape

    def get(self, name: str) -> Shape | None:
        """``None`` for a variable that has only been named so far."""
        known = self._declared.get(name)
        return None if known is None else known[0]


@dataclass(slots=True, kw_only=True)
class Scope:
    """Names a segment may refer to. ``available`` grows with the outputs of each."""

    parameters: Mapping[str, Parameter]
    newton: NewtonSettings | None
    krylov: KrylovSettings | None
    available: dict[str, None] = field(default_factory=dict)
    """Used as a set that keeps the order, for messages."""
    base_shapes: BaseShapes = field(default_factory=BaseShapes)

    def provide(self, names: Iterable[str]) -> None:
        self.available.update(dict.fromkeys(names))
