"""What is known of compiled graphs, and their shared libraries unpacked, kept between processes.

::

    <cache>/packages/<file>.json    content and facts of a package file, by its inode and times
    <cache>/libraries/<content>/    the library of a package with that content, ready to open, and
                                    its tuned kernels for some machines, see tuning

Entries are made aside (under a name that begins with a dot) and renamed into place, and moved
aside before they are removed, so that processes may share a cache and be killed at any moment:
others see an entry whole or not at all. What a killed process left aside goes an hour later. The
libraries used longest ago go when there are too many of them; a library that some process has open
stays usable there. What cannot be kept, for want of space or of the right to write, is made anew.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import hashlib
import io
import json
import logging
import os
import re
import shutil
import stat
import tempfile
import time
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from neml2_aoti_plugin.artifact.machine import this_machine
from neml2_aoti_plugin.artifact.package import (
    PackageFacts,
    inspect_package,
    is_source,
    library_members,
)
from neml2_aoti_plugin.artifact.signature import GraphArgument
from neml2_aoti_plugin.artifact.whole_file import write_whole
from neml2_aoti_plugin.errors import ArtifactError

FOLDER_VARIABLE = "NEML2_AOTI_PLUGIN_CACHE"
LIMIT_VARIABLE = "NEML2_AOTI_PLUGIN_CACHE_MB"
DEFAULT_LIMIT_MB = 1024
_OFF = ("0", "off", "false", "no")
_FORMAT = 2
"""Part of every name; another number where what an entry holds changes."""

_DIGEST = re.compile(r"[0-9a-f]{40}")

MOST_ENTRIES = 2048
"""Of ``packages``, a few kilobytes each. Packages that have gone leave theirs behind."""

_LEFT_OVER_SECONDS = 3600.0
"""No entry takes this long to make: what lies aside for longer belongs to nobody."""

_ATTEMPTS = 3
"""Other processes may remove what was just found."""

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
        for _ in range(_ATTEMPTS):
            library = _library_in(folder)
            if library is None:
                self._unpack(package, folder)
                self._trim(keep=folder)
            else:
                with contextlib.suppress(OSError):  # gone in between: opening the library says so
                    os.utime(folder)
                return library
        raise OSError(f"{folder}: goes as soon as it is there; others remove it")

    def _known(self, package: Path) -> _Known:
        identity = _identity(package)
        entry = self._packages / f"{identity}.json"
        known = _read_entry(entry, package)
        if known is None:
            known = _Known(_digest(_read(package)), inspect_package(package))
            if _identity(package) != identity:
                raise _changed(package)
            self._keep(entry, known)
        return known

    def _keep(self, entry: Path, known: _Known) -> None:
        text = json.dumps({"content": known.content, "facts": _to_json(known.facts)})
        try:
            write_whole(entry, text.encode())
            self._trim_packages()
        except OSError as error:
            _log.info("%s is not kept: %s", entry, error)

    def _unpack(self, package: Path, folder: Path) -> None:
        content = _read(package)
        if _digest(content) != folder.name:
            raise _changed(package)
        aside = Path(tempfile.mkdtemp(dir=self._libraries, prefix="."))
        try:
            _write_library(content, aside)
            if not _take_place(aside, folder):
                self._remove(folder)  # what is left of one that was not whole
                if not _take_place(aside, folder):
                    raise OSError(f"{folder}: what is there is not whole and cannot be replaced")
        finally:
            shutil.rmtree(aside, ignore_errors=True)

    def _remove(self, folder: Path) -> None:
        """At once for others, also if this process is killed while it removes the files."""
        aside = Path(tempfile.mkdtemp(dir=self._libraries, prefix="."))
        with contextlib.suppress(OSError):  # not there, or another process was faster
            folder.rename(aside / "removed")
        shutil.rmtree(aside, ignore_errors=True)

    def _trim(self, keep: Path) -> None:
        """Remove the libraries that were used longest ago, as far as there are too many."""
        _remove_left_overs(self._libraries)
        found = []
        for folder in _entries_of(self._libraries):
            with contextlib.suppress(OSError):  # other processes trim, too
                size = sum(file.stat().st_size for file in folder.iterdir())
                found.append((folder.stat().st_mtime, size, folder))
        excess = sum(size for _, size, _ in found) - self._limit_bytes
        for _, size, folder in sorted(found):
            if excess <= 0:
                return
            if folder != keep:
                with contextlib.suppress(OSError):  # no space to move it to: next time
                    self._remove(folder)
                excess -= size

    def _trim_packages(self) -> None:
        """Remove the entries that were written longest ago, once there are too many."""
        entries = _entries_of(self._packages)
        if len(entries) <= MOST_ENTRIES:
            return
        _remove_left_overs(self._packages)
        times = []
        for entry in entries:
            with contextlib.suppress(OSError):
                times.append((entry.stat().st_mtime, entry))
        for _, entry in sorted(times)[: len(entries) - MOST_ENTRIES * 3 // 4]:
            entry.unlink(missing_ok=True)


# -- tuned kernels -------------------------------------------------------------------------------


def tuned_kernels_file(library: Path, torch: str) -> Path:
    """Where the kernels of the unpacked library are, if they have been tuned for this machine and
    the version ``torch``."""
    return library.parent / f"kernels-{_builder(torch)}.so"


@functools.cache
def _builder(torch: str) -> str:
    """Kernels run where they were made: a cache may be shared by machines."""
    machine = this_machine()
    flags = " ".join(sorted(machine.cpu_flags or ()))
    parts = (machine.platform, machine.architecture, flags, torch)
    return _digest("\n".join(parts).encode())[:16]


# -- without a cache -----------------------------------------------------------------------------


def usable_library(cache: LibraryCache, package: Path) -> Path:
    """The library of the package: that of the cache, or one for this process alone where the cache
    cannot hold it.

    Raises ArtifactError for a damaged package, and OSError where there is no place at all.
    """
    try:
        return cache.library(package)
    except OSError as error:
        _log.warning("%s is unpacked for this process alone: %s", package, error)
        cause = error
    try:
        return _unpack_privately(package)
    except OSError as error:
        raise OSError(
            f"{package} cannot be unpacked, neither into the cache ({cause}) nor into "
            f"'{tempfile.gettempdir()}' ({error}); expected a place for its library. Make space, "
            f"or set {FOLDER_VARIABLE} or TMPDIR to a folder that has some"
        ) from error


def _unpack_privately(package: Path) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="neml2_aoti_plugin-"))
    atexit.register(_remove_own, folder, os.getpid())
    _write_library(_read(package), folder)
    library = _library_in(folder)
    if library is None:
        raise OSError(f"{folder}: the library is not what was written")
    return library


def _remove_own(folder: Path, owner: int) -> None:
    if os.getpid() == owner:  # not in a forked child
        shutil.rmtree(folder, ignore_errors=True)


# -- files ---------------------------------------------------------------------------------------


def _read(package: Path) -> bytes:
    try:
        return package.read_bytes()
    except OSError as error:
        raise _unreadable(package, error) from error


def _unreadable(package: Path, error: OSError) -> ArtifactError:
    return ArtifactError(f"{package}: cannot be read ({error}); expected a compiled graph.")


def _changed(package: Path) -> ArtifactError:
    return ArtifactError(
        f"{package}: changed while it was being read; expected a file that stays as it is. "
        "Open the artifact again once it has been written."
    )


def _write_library(package: bytes, folder: Path) -> None:
    """Unpack the library and what is beside it; ``library`` names it and is written last."""
    with zipfile.ZipFile(io.BytesIO(package)) as archive:
        library, members = library_members(archive.infolist())
        for member in members:
            if is_source(member):
                continue
            target = folder / Path(member.filename).name
            with archive.open(member) as source, target.open("xb") as sink:
                shutil.copyfileobj(source, sink)
    name = Path(library.filename).name
    (folder / "library").write_text(f"{name}\n{library.file_size}\n")


def _take_place(aside: Path, folder: Path) -> bool:
    """Become the entry ``folder``, unless there is a whole one: then another process was faster.

    False where a part of one is in the way, which is never looked for beforehand: a process that
    finds no entry may be about to meet one that another has just finished.
    """
    try:
        aside.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise
        return _library_in(folder) is not None
    return True


def _library_in(folder: Path) -> Path | None:
    """The library of an entry; ``None`` where there is no entry or a part of one."""
    try:
        name, size = (folder / "library").read_text().split("\n")[:2]
        library = folder / name
        return library if library.stat().st_size == int(size) else None
    except (OSError, ValueError):
        return None


def _entries_of(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if not path.name.startswith(".")]


def _remove_left_overs(folder: Path) -> None:
    """What processes that were killed had begun to make or to remove."""
    now = time.time()
    for path in folder.glob(".*"):
        with contextlib.suppress(OSError):
            # A clock that was set back leaves times in the future.
            if abs(now - path.stat().st_mtime) < _LEFT_OVER_SECONDS:
                continue
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink()


def _check_private(folder: Path) -> None:
    found = folder.stat()
    if found.st_uid != os.getuid() or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise PermissionError(
            f"{folder} belongs to another user or can be written to by others; libraries in it are "
            f"run, so it must be yours alone. Set {FOLDER_VARIABLE} to a folder that is"
        )


def _identity(package: Path) -> str:
    """Of the file as it is now: whatever is written to it changes its times."""
    try:
        found = package.stat()
    except OSError as error:
        raise _unreadable(package, error) from error
    parts = (
        _FORMAT,
        found.st_dev,
        found.st_ino,
        found.st_size,
        found.st_mtime_ns,
        found.st_ctime_ns,
    )
    return "-".join(f"{part:x}" for part in parts)


def _digest(content: bytes) -> str:
    person = f"format {_FORMAT}".encode()
    return hashlib.blake2b(content, digest_size=20, person=person).hexdigest()


# -- entries -------------------------------------------------------------------------------------


def _read_entry(entry: Path, package: Path) -> _Known | None:
    try:
        written = json.loads(entry.read_text())
        content = written["content"]
        if not _DIGEST.fullmatch(content):
            return None
        return _Known(content, _from_json(written["facts"], package))
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
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
