"""Whether an artifact may be opened: locks that must fit, and digests that are allowed.

Loading an artifact runs the code in it. A lock says that the files are those that somebody locked;
a list of digests says that it was somebody who is trusted.
"""

from __future__ import annotations

import os
import re
from enum import Enum
from pathlib import Path

from neml2_aoti_plugin.artifact.lock import LOCK_NAME, Lock, read_lock
from neml2_aoti_plugin.errors import InputError, IntegrityError

POLICY_VARIABLE = "NEML2_AOTI_PLUGIN_LOCK"
ALLOWED_VARIABLE = "NEML2_AOTI_PLUGIN_ALLOWED"
"""A file with the digests of locks that may be opened, one in a line, ``#`` before remarks."""

_ENTRY = re.compile(r"[0-9a-fA-F]{64}")


class LockPolicy(Enum):
    """From lax to strict."""

    OFF = "off"
    IF_PRESENT = "if-present"
    REQUIRED = "required"


def lock_policy(asked: str | None = None) -> LockPolicy:
    """The stricter of what the caller and the environment ask for; ``if-present`` where none does.

    Raises :class:`InputError` for another word.
    """
    words = {"lock": asked, POLICY_VARIABLE: os.environ.get(POLICY_VARIABLE) or None}
    given = [checked_policy(word, where) for where, word in words.items() if word is not None]
    strictness = list(LockPolicy)
    return max(given, key=strictness.index, default=LockPolicy.IF_PRESENT)


def check_trust(root: Path, policy: LockPolicy) -> Lock | None:
    """The verified lock of the artifact in ``root``; ``None`` where there is none to look at.

    Raises :class:`IntegrityError` where a file is not as it was locked, where there is no lock and
    one is required, and where its digest is not among those that are allowed.
    """
    allowed = allowed_digests()
    if policy is LockPolicy.OFF and allowed is None:
        return None
    lock = read_lock(root)
    if lock is None:
        if policy is LockPolicy.REQUIRED or allowed is not None:
            why = "is required" if allowed is None else f"is needed, as {ALLOWED_VARIABLE} is set"
            raise IntegrityError(
                f"{root}: no {LOCK_NAME}, which {why}. Lock an artifact that you trust with "
                "neml2-aoti lock."
            )
        return None
    if allowed is not None and lock.digest not in allowed:
        raise IntegrityError(
            f"{root}: the digest of {LOCK_NAME} is {lock.digest}, which is not among the "
            f"{len(allowed)} that '{os.environ[ALLOWED_VARIABLE]}' allows. Add it there if you "
            "trust the artifact."
        )
    lock.verify()
    return lock


def allowed_digests() -> frozenset[str] | None:
    """Those in the file that ``NEML2_AOTI_PLUGIN_ALLOWED`` names; ``None`` where it is not set."""
    name = os.environ.get(ALLOWED_VARIABLE)
    if not name:
        return None
    try:
        lines = Path(name).read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise IntegrityError(
            f"{ALLOWED_VARIABLE} is '{name}', which cannot be read ({error}); expected a file with "
            "one digest in a line."
        ) from error
    entries = [(number, line.partition("#")[0].strip()) for number, line in enumerate(lines, 1)]
    for number, entry in entries:
        if entry and not _ENTRY.fullmatch(entry):
            raise IntegrityError(
                f"{name}:{number}: {entry!r} is no digest; expected 64 hexadecimal digits, as "
                "neml2-aoti lock prints them."
            )
    return frozenset(entry.lower() for _, entry in entries if entry)


def checked_policy(word: str, where: str = "lock") -> LockPolicy:
    """The policy of that name; raises :class:`InputError`, which says ``where`` it stands."""
    try:
        return LockPolicy(word)
    except ValueError:
        known = ", ".join(f"'{policy.value}'" for policy in LockPolicy)
        raise InputError(f"{where} is {word!r}; expected one of {known}") from None
