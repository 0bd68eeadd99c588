"""What a sub-command hands back: data for programs, a view for people, and an exit code."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console


class ExitCode(enum.IntEnum):
    OK = 0
    NEGATIVE = 1
    """The command did its work and its verdict is negative: damaged, different, not converged."""
    USAGE = 2
    """The command could not do its work as it was asked to."""


class UsageError(Exception):
    """What was asked for cannot be done; the message says what to ask instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    data: Mapping[str, Any]
    """What ``--json`` prints: strings, numbers, booleans, null, lists and objects of these."""
    show: Callable[[Console], None]
    """Prints the same for people."""
    code: ExitCode = ExitCode.OK
