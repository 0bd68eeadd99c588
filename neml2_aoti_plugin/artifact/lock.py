"""``artifact.lock``: what the files of an artifact were when somebody vouched for them.

::

    {
      "format": 1,
      "digest": "<sha256 of the names and digests below>",
      "files": {"metadata.json": "<sha256>", "cpu/float64/model.pt2": "<sha256>"},
      "written_by": "neml2 3.1.0", "torch": "2.12.1", "locked": "2026-01-31T12:00:00Z",
      "seal": "<sha256 of all entries above>"
    }

It lies beside the metadata. Names are relative to that folder, with forward slashes. A lock is read
only if it is, byte by byte, what would be written.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from neml2_aoti_plugin.artifact.document import parse_document, read_document_bytes
from neml2_aoti_plugin.artifact.fields import enumeration
from neml2_aoti_plugin.artifact.whole_file import READABLE, write_whole
from neml2_aoti_plugin.errors import ArtifactError, IntegrityError

LOCK_NAME = "artifact.lock"

_FORMAT = 1
_DIGEST = re.compile(r"[0-9a-f]{64}")
_FILES_SHOWN = 5
_RELOCK = (
    "Copy the artifact again from where it was locked; if the change is yours, lock it anew with "
    "neml2-aoti lock --renew."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    root: Path
    """The folder that it lies in."""
    files: tuple[tuple[str, str], ...]
    """Name and sha256 of every file, in the order of the names."""
    written_by: str
    """Releases of neml2 that write such metadata."""
    torch: str | None
    """Release that was installed when the artifact was locked."""
    locked: str
    """UTC, ISO 8601."""

    @property
    def digest(self) -> str:
        """One for all files: the same for copies, whenever and by whomever they were locked."""
        listed = "".join(f"{digest}  {name}\n" for name, digest in self.files)
        return hashlib.sha256(listed.encode()).hexdigest()

    def verify(self) -> None:
        """Raise :class:`IntegrityError` unless every file is there and as it was."""
        wrong = [found for name, digest in self.files if (found := self._wrong(name, digest))]
        if not wrong:
            return
        more = len(wrong) - _FILES_SHOWN
        listed = "; ".join(wrong[:_FILES_SHOWN]) + (f"; and {more} more" if more > 0 else "")
        raise IntegrityError(
            f"{self.root}: {len(wrong)} of {len(self.files)} files are not as {LOCK_NAME} of "
            f"{self.locked} has them: {listed}. {_RELOCK}"
        )

    def verify_file(self, file: Path) -> None:
        """The same for one file, which must be among them."""
        self.require(file)
        name = _name(file, self.root)
        if wrong := self._wrong(name, dict(self.files)[name]):
            raise IntegrityError(
                f"{self.root}: not as {LOCK_NAME} of {self.locked} has it: {wrong}. {_RELOCK}"
            )

    def require(self, *files: Path) -> None:
        """Raise :class:`IntegrityError` for a file that is not among them."""
        known = {name for name, _ in self.files}
        names = [_name(file, self.root) for file in files]
        missing = [name for name in names if name not in known]
        if missing:
            raise IntegrityError(
                f"{self.root}: {enumeration(missing)} not in {LOCK_NAME} of {self.locked}; "
                f"expected all that is loaded. {_RELOCK}"
            )

    def _wrong(self, name: str, digest: str) -> str | None:
        """What is wrong with a file, if anything is."""
        file = self.root / name
        if not file.is_file():
            return f"{name} is missing"
        try:
            found = sha256_of(file)
        except OSError as error:
            return f"{name} cannot be read ({error.strerror})"
        return None if found == digest else f"{name} has sha256 {found}, expected {digest}"


def make_lock(root: Path, *, written_by: str, torch: str | None) -> Lock:
    """Of all files below ``root`` as they are now. Raises ArtifactError for a link that leads out
    of it, and for a name that no lock can hold."""
    inside = root.resolve()
    files = []
    for file in sorted(root.rglob("*")):
        if file.name == LOCK_NAME or not file.is_file():
            continue
        if not file.resolve().is_relative_to(inside):
            raise ArtifactError(
                f"{file}: leads to '{file.resolve()}' outside the artifact, so it cannot be "
                "locked. Put the file itself there."
            )
        files.append((_checked_name(_name(file, root), root), sha256_of(file)))
    return Lock(
        root=root,
        files=tuple(sorted(files)),
        written_by=written_by,
        torch=torch,
        locked=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    )


def write_lock(lock: Lock) -> Path:
    """Write it into its folder, whole or not at all."""
    target = lock.root / LOCK_NAME
    write_whole(target, _text(lock).encode(), mode=READABLE)
    return target


def read_lock(root: Path) -> Lock | None:
    """The lock of the artifact in ``root``; ``None`` where there is none.

    Raises :class:`IntegrityError` for one that is no lock: it may have been tampered with.
    """
    file = root / LOCK_NAME
    if not file.is_symlink() and not file.exists():
        return None
    try:
        written = read_document_bytes(file)
        content = parse_document(written, file)
    except ArtifactError as error:
        raise IntegrityError(str(error)) from error
    if content.get("format") != _FORMAT:
        raise IntegrityError(
            f"{file}: format is {content.get('format')!r}; expected {_FORMAT}. Update this "
            "package, or lock the artifact anew with neml2-aoti lock --renew."
        )
    lock = Lock(
        root=root,
        files=_read_files(file, content.get("files")),
        written_by=str(content.get("written_by")),
        torch=content["torch"] if isinstance(content.get("torch"), str) else None,
        locked=str(content.get("locked")),
    )
    if written != _text(lock).encode():
        raise IntegrityError(f"{file}: the lock itself was changed. {_RELOCK}")
    return lock


def _text(lock: Lock) -> str:
    entries = {
        "format": _FORMAT,
        "digest": lock.digest,
        "files": dict(lock.files),
        "written_by": lock.written_by,
        "torch": lock.torch,
        "locked": lock.locked,
    }
    seal = hashlib.sha256(json.dumps(entries).encode()).hexdigest()
    return json.dumps(entries | {"seal": seal}, indent=2) + "\n"


def sha256_of(file: Path) -> str:
    with file.open("rb") as stream:
        digest = hashlib.sha256()
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def _read_files(file: Path, files: Any) -> tuple[tuple[str, str], ...]:
    if not isinstance(files, dict) or not files:
        raise IntegrityError(f"{file}: files is no object with names; expected one. {_RELOCK}")
    for name, digest in files.items():
        _checked_name(name, file)
        if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
            raise IntegrityError(
                f"{file}: files[{name!r}] is {digest!r}; expected 64 hexadecimal digits. {_RELOCK}"
            )
    return tuple(sorted(files.items()))


def _checked_name(name: str, where: Path) -> str:
    """A name that stays inside and takes one line."""
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts or not name.isprintable():
        raise IntegrityError(
            f"{where}: {name!r} is no name below the folder of the artifact. {_RELOCK}"
        )
    return name


def _name(file: Path, root: Path) -> str:
    return file.relative_to(root).as_posix()
