"""What a call may do when a solve fails for some rows: the words for it."""

from __future__ import annotations

from neml2_aoti_plugin.errors import InputError

DEFAULT_FOLDER = "neml2_aoti_failures"
"""Where reports go unless told otherwise, below the working directory."""


def checked_action(action: str) -> str:
    """The word itself; raises :class:`InputError` for another one."""
    if action not in ("raise", "nan", "dump"):
        raise InputError(f"on_failure is {action!r}; expected 'raise', 'nan' or 'dump'")
    return action
