"""The two runtimes, side by side in one process or each in its own."""

from __future__ import annotations

import enum
import os
from pathlib import Path
from typing import Any

SWITCH = "NEML2_AOTI_PLUGIN"


class Runtime(enum.Enum):
    """Whose ``Model`` runs an artifact."""

    OURS = "ours"
    REFERENCE = "neml2"

    def environment(self) -> dict[str, str]:
        """That of a process in which ``neml2.aoti`` is this runtime's."""
        without = {name: value for name, value in os.environ.items() if name != SWITCH}
        return without | ({} if self is Runtime.OURS else {SWITCH: "0"})

    def open(self, root: Path) -> Any:
        """A model on the artifact. The take-over must be off where both are wanted."""
        if self is Runtime.OURS:
            from neml2_aoti_plugin import Model

            return Model(root)
        return _reference_class()(str(root))


def _reference_class() -> Any:
    import neml2.aoti

    from neml2_aoti_plugin import Model

    if issubclass(neml2.aoti.Model, Model):
        raise SystemExit(
            "neml2's own runtime is not there to compare with: it needs the torch it was built for"
            f" and {SWITCH}=0"
        )
    return neml2.aoti.Model
