"""Writes files whole or not at all, whoever reads them meanwhile and whatever fails."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

PRIVATE = 0o600
READABLE = 0o644


def write_whole(target: Path, content: bytes, *, mode: int = PRIVATE) -> None:
    """Write ``content`` aside (under a name that begins with a dot) and rename it into place.

    Raises OSError where that fails; ``target`` is what it was then.
    """
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=".")
    aside = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        if mode != PRIVATE:
            aside.chmod(mode)
        aside.rename(target)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
