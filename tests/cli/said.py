"""What a run of the command line left behind."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    code: int
    out: str
    err: str

    @property
    def data(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.out)
        return document


Program: TypeAlias = Callable[..., Said]
"""Takes the words of the command line."""
