"""What is known of compiled graphs, and their shared libraries unpacked, kept between processes.

::

    <cache>/packages/<file>.json    content and facts of a package file, by its inode and times
    <cache>/libraries/<content>/    the library of a package with that content, ready to open

Entries are made aside and renamed into place, so that processes may share a cache: they see an
entry whole or not at all. The libraries used longest ago go when there are too many of them; a
library that some process has open stays usable there.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import shutil
import stat
import tempfile
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from neml2_aoti_plugin.artifact.package import (
    PackageFacts,
    inspect_package,
    is_source,
    library_members,
)
from neml2_aoti_plugin.artifact.signature import GraphArgument

FOLDER_VARIABLE = "NEML2_AOTI_PLUGIN_CACHE"
LIMIT_VARIABLE = "NEML2_AOTI_PLUGIN_CACHE_MB"
DEFAULT_LIMIT_MB = 1024
_OFF = ("0", "off", "false", "no")
_FORMAT = 1
"""Part of every name; another number where what an entry holds changes."""

_log = logging.getLogger(__name__)


def default_cache() -> LibraryCache | None:
    """The cache that ``NEML2_AOTI_PLUGIN_CACHE`` names, or the one in the user's cache folder.

    ``None`` where the variable says ``0`` (also ``off``, ``false``, ``no``), and where the folder
    cannot be made or others may write to it: graphs are then unpacked by each process.
    """
    try:
        root = cache_root()
        return None if root is None else LibraryCache(root, limit_bytes=limit_mb() << 20)
    except (OSError, RuntimeError) as error:
        _log.info("graphs are unpacked by each process anew: %s", error)
        return None


def cache_root() -> Path | None:
    """Folder of the default cache, there or not; ``None`` where it is switched off."""
    given = os.environ.get(FOLDER_VARIABLE, "")
    if given.lower() in _OFF:
        return None
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return (Path(given or base) / ("" if given else "neml2_aoti_plugin")).expanduser()


def limit_mb() -> int:
    """What the default cache may grow to."""
    given = os.environ.get(LIMIT_VARIABLE, "")
    if not given:
        return DEFAULT_LIMIT_MB
    if not given.isascii() or not given.isdigit():
        raise ValueError(
            f"{LIMIT_VARIABLE} is {given!r}; expected a whole number of megabytes, such as "
            f"{DEFAULT_LIMIT_MB}"
        )
    return int(given)


@dataclass(frozen=True, slots=True)
class _Known:
    """What an entry of ``packages`` holds."""

    content: str
    facts: PackageFacts


class LibraryCache:
    """Packages inspected and unpacked once. Threads and processes may share one folder."""

    def __init__(self, root: Path, *, limit_bytes: int) -> None:
        """Make the folder unless it is there.

        Raises OSError if that fails, and PermissionError if others than the user may write to it,
        as libraries in it are run.
        """
        self._packages = root / "packages"
        self._libraries = root / "libraries"
        self._limit_bytes = limit_bytes
        for folder in (root, self._packages, self._libraries):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            _check_private(folder)

    def facts(self, package: Path) -> PackageFacts:
        """What ``inspect_package`` says of the file; ArtifactError as there."""
        return self._known(package).facts

    def library(self, package: Path) -> Path:
        """The shared library of the package, with the files beside it that it needs.

        Raises ArtifactError for a damaged package and OSError where it cannot be unpacked.
        """
        folder = self._libraries / self._known(package).content
        if not folder.is_dir():
            self._unpack(package, folder)
            self._trim(keep=folder)
        with contextlib.suppress(OSError):  # gone in between: opening the library says so
            os.utime(folder)
        return folder / (folder / "library").read_text()

    def _known(self, package: Path) -> _Known:
        entry = self._packages / f"{_identity(package)}.json"
        known = _read_entry(entry, package)
        if known is None:
            facts = inspect_package(package)
            known = _Known(_content(package), facts)
            text = json.dumps({"content": known.content, "facts": _to_json(facts)})
            _write_aside(entry, text)
        return known

    def _unpack(self, package: Path, folder: Path) -> None:
        aside = Path(tempfile.mkdtemp(dir=self._libraries, prefix="."))
        try:
            with zipfile.ZipFile(package) as archive:
                library, members = library_members(archive.infolist())
                for member in members:
                    if is_source(member):
                        continue
                    target = aside / Path(member.filename).name
                    with archive.open(member) as source, target.open("xb") as sink:
                        shutil.copyfileobj(source, sink)
            (aside / "library").write_text(Path(library.filename).name)
            aside.rename(folder)
        except OSError:
            shutil.rmtree(aside, ignore_errors=True)
            if not folder.is_dir():  # else another process was faster
                raise

    def _trim(self, keep: Path) -> None:
        """Remove the libraries that were used longest ago, as far as there are too many."""
        found = []
        for folder in self._libraries.iterdir():
            with contextlib.suppress(OSError):  # other processes trim, too
                size = sum(file.stat().st_size for file in folder.iterdir())
                found.append((folder.stat().st_mtime, size, folder))
        excess = sum(size for _, size, _ in found) - self._limit_bytes
        for _, size, folder in sorted(found):
            if excess <= 0:
                return
            if folder != keep:
                shutil.rmtree(folder, ignore_errors=True)
                excess -= size


def _check_private(folder: Path) -> None:
    found = folder.stat()
    if found.st_uid != os.getuid() or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise PermissionError(
            f"{folder} belongs to another user or can be written to by others; libraries in it are "
            f"run, so it must be yours alone. Set {FOLDER_VARIABLE} to a folder that is"
        )


def _identity(package: Path) -> str:
    """Of the file as it is now: whatever is written to it changes its times."""
    found = package.stat()
    parts = (
        _FORMAT,
        found.st_dev,
        found.st_ino,
        found.st_size,
        found.st_mtime_ns,
        found.st_ctime_ns,
    )
    return "-".join(f"{part:x}" for part in parts)


def _content(package: Path) -> str:
    digest = hashlib.blake2b(digest_size=20, person=f"format {_FORMAT}".encode())
    digest.update(package.read_bytes())
    return digest.hexdigest()


def _write_aside(target: Path, text: str) -> None:
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=".")
    with os.fdopen(handle, "w") as file:
        file.write(text)
    Path(name).rename(target)


# -- entries -------------------------------------------------------------------------------------


def _read_entry(entry: Path, package: Path) -> _Known | None:
    try:
        written = json.loads(entry.read_text())
        return _Known(written["content"], _from_json(written["facts"], package))
    except (OSError, ValueError, KeyError, TypeError):
        return None  # none yet, or not what was written: it is made anew


def _to_json(facts: PackageFacts) -> dict[str, Any]:
    fields = asdict(facts) | {"operators": sorted(facts.operators)}
    del fields["file"]
    return fields


def _from_json(fields: dict[str, Any], package: Path) -> PackageFacts:
    arguments = fields["arguments"]
    if arguments is not None:
        arguments = tuple(
            GraphArgument(**(argument | {"shape": tuple(argument["shape"])}))
            for argument in arguments
        )
    operators = frozenset(fields["operators"])
    return PackageFacts(
        **(fields | {"file": package, "operators": operators, "arguments": arguments})
    )
