"""Schema 12 (neml2 3.0.7) to 14.

Version 14 added a test of the update's size to substepping, phantom givens (instead of the role
``incremental``, which the canonical schema keeps) and predictor loops.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any


def upgrade(document: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(document)
    result["schema_version"] = 14
    solver = document.get("solver_config")
    if isinstance(solver, dict):
        result["solver_config"] = {**solver, "substep_del_tol": math.inf}
    return result
