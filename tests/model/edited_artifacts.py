"""Copies of artifacts with edited metadata, for what no compiler writes on demand."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

from artifact_cache import CompiledCase

Metadata: TypeAlias = dict[str, Any]
Edit: TypeAlias = Callable[[Callable[[Metadata], None], CompiledCase], Path]


def edited_copy(edit: Callable[[Metadata], None], case: CompiledCase, root: Path) -> Path:
    shutil.copytree(case.root, root)
    file = root / case.metadata.relative_to(case.root)
    metadata = json.loads(file.read_text())
    edit(metadata)
    file.write_text(json.dumps(metadata))
    return root
