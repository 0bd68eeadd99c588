"""The door to ``AOTIModel``, which can be opened before, while and after ``neml2`` is imported.

Importing ``neml2`` makes it ask for the class (:mod:`neml2_aoti_plugin.takeover`), and the class
needs parts of ``neml2``. So ``neml2`` goes first here, and what asks during its import is served.
"""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:
    if name == "AOTIModel":
        from neml2_aoti_plugin.aoti_model import AOTIModel

        return AOTIModel
    raise AttributeError(f"module 'neml2_aoti_plugin.hit' has no attribute {name!r}")


import neml2  # noqa: E402, F401  (only now: see above)

from neml2_aoti_plugin.aoti_model import AOTIModel as AOTIModel  # noqa: E402
