"""Types of what the fixtures here give."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

Project: TypeAlias = Callable[..., Path]
"""Makes a folder with an input file; arguments are ini options."""

Calls: TypeAlias = Callable[[], list[str]]
"""Command lines so far."""
