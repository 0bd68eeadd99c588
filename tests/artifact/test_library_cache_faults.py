"""What becomes of the cache of libraries, and of those who use it, when something goes wrong."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from artifact_cache import compiled
from made_up_artifacts import package_members, write_package
from programs import run_python

from neml2_aoti_plugin import Model
from neml2_aoti_plugin.artifact import library_cache
from neml2_aoti_plugin.artifact.library_cache import LibraryCache, usable_library
from neml2_aoti_plugin.artifact.package import inspect_package
from neml2_aoti_plugin.errors import ArtifactError

AMPLE = 1 << 30
CONTENT = b"machine code" * 10_000
HOUR = 3600
YEAR = 365 * 24 * HOUR


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def cache(root: Path) -> LibraryCache:
    return LibraryCache(root, limit_bytes=AMPLE)


@pytest.fixture
def package(tmp_path: Path) -> Path:
    return make_package(tmp_path, "graph", CONTENT)


def make_package(folder: Path, name: str, content: bytes) -> Path:
    members = package_members(name)
    library = next(member for member in members if member.endswith(".so"))
    return write_package(folder / f"{name}.pt2", members | {library: content})


def libraries(root: Path) -> list[Path]:
    return sorted((root / "libraries").iterdir())


# -- killed processes ----------------------------------------------------------------------------


def killed_writers(folder: Path, *arguments: str) -> int:
    program = Path(__file__).with_name("killed_writers.py")
    command = [sys.executable, str(program), str(folder), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return int(done.stdout)


def test_a_process_killed_before_any_call_leaves_a_cache_that_works(tmp_path: Path) -> None:
    # Folders, entries, libraries and what is removed of them are some tens of calls.
    assert killed_writers(tmp_path, "calls") > 40


def test_processes_killed_at_any_time_leave_a_cache_that_works(tmp_path: Path) -> None:
    assert killed_writers(tmp_path, "times", "40") == 40


def test_what_a_killed_process_left_goes_an_hour_later(tmp_path: Path, root: Path) -> None:
    cache = LibraryCache(root, limit_bytes=AMPLE)
    old, young = root / "libraries" / ".old", root / "libraries" / ".young"
    for folder in (old, young):
        folder.mkdir()
        (folder / "part").write_bytes(b"part")
    past = old.stat().st_mtime - 2 * HOUR
    os.utime(old, (past, past))
    cache.library(make_package(tmp_path, "graph", CONTENT))
    assert not old.exists()
    assert young.exists()


def test_a_library_that_is_removed_in_part_is_unpacked_again(
    cache: LibraryCache, root: Path, package: Path
) -> None:
    library = cache.library(package)
    library.unlink()
    assert cache.library(package).read_bytes() == CONTENT
    library.write_bytes(CONTENT[:-1])
    assert cache.library(package).read_bytes() == CONTENT
    (library.parent / "library").unlink()
    assert cache.library(package).read_bytes() == CONTENT
    assert len(libraries(root)) == 1


# -- no space, no rights -------------------------------------------------------------------------


def fail_with(code: int, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    """Let a call fail where it is about a cache; elsewhere files can be made as ever."""
    error = OSError(code, os.strerror(code))
    if call == "rename":

        def rename(self: Path, target: Path) -> Path:
            raise error

        monkeypatch.setattr(Path, "rename", rename)
        return
    original = getattr(tempfile, call)

    def make(*arguments: Any, **options: Any) -> Any:
        if "dir" in options:
            raise error
        return original(*arguments, **options)

    monkeypatch.setattr(tempfile, call, make)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EDQUOT, errno.EIO])
@pytest.mark.parametrize("call", ["mkstemp", "mkdtemp", "rename"])
def test_a_cache_that_cannot_be_written_is_done_without(
    call: str,
    code: int,
    cache: LibraryCache,
    package: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fail_with(code, monkeypatch, call)
    assert cache.facts(package) == inspect_package(package)
    assert usable_library(cache, package).read_bytes() == CONTENT


def test_a_model_runs_where_its_cache_cannot_be_written(
    root: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    strain = {"strain": torch.full((3, 6), 1e-3, dtype=torch.float64)}
    monkeypatch.setenv("NEML2_AOTI_PLUGIN_CACHE", "0")
    expected = Model(compiled("elasticity").root).forward(strain)["stress"]
    monkeypatch.setenv("NEML2_AOTI_PLUGIN_CACHE", str(root))
    fail_with(errno.ENOSPC, monkeypatch, "mkdtemp")
    found = Model(compiled("elasticity").root).forward(strain)["stress"]
    assert torch.equal(found, expected)
    assert "is unpacked for this process alone: [Errno 28] No space left on device" in caplog.text


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 kB, which is less than a library takes."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root can mount a small file system")
    folder = tmp_path / "disk"
    folder.mkdir(mode=0o700)
    options = "size=64k,mode=0700"
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"no small file system can be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_done_without(small_disk: Path, package: Path) -> None:
    cache = LibraryCache(small_disk / "cache", limit_bytes=AMPLE)
    for _ in range(3):
        assert usable_library(cache, package).read_bytes() == CONTENT
    assert libraries(small_disk / "cache") == []  # nor is a part of it left
    (small_disk / "rest").write_bytes(b"")
    with pytest.raises(OSError, match="No space left"):
        (small_disk / "rest").write_bytes(bytes(1 << 20))
    assert cache.facts(package) == inspect_package(package)


def test_a_disk_that_cannot_be_written_is_read(
    small_disk: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    known, unknown = (make_package(tmp_path, name, name.encode()) for name in ("known", "unknown"))
    root = small_disk / "cache"
    library = LibraryCache(root, limit_bytes=AMPLE).library(known)
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    cache = LibraryCache(root, limit_bytes=AMPLE)
    assert usable_library(cache, known) == library
    assert caplog.text == ""
    assert usable_library(cache, unknown).read_bytes() == b"unknown"
    assert "Read-only file system" in caplog.text


def test_without_any_space_the_error_says_where_and_what_to_do(root: Path, package: Path) -> None:
    program = (
        "import resource, sys; from pathlib import Path;"
        "from neml2_aoti_plugin.artifact.library_cache import LibraryCache, usable_library;"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, {resource.RLIM_INFINITY}));"
        "cache = LibraryCache(Path(sys.argv[1]), limit_bytes=1 << 30);"
        "usable_library(cache, Path(sys.argv[2]))"
    )
    done = run_python(program, str(root), str(package))
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith(f"OSError: {package} cannot be unpacked, neither into the cache (")
    assert "File too large" in last
    assert last.endswith("set NEML2_AOTI_PLUGIN_CACHE or TMPDIR to a folder that has some")
    assert libraries(root) == []


def test_a_private_library_is_removed_at_the_end(root: Path, package: Path, tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path;"
        "from neml2_aoti_plugin.artifact import library_cache;"
        "print(library_cache._unpack_privately(Path(sys.argv[1])))"
    )
    done = run_python(program, str(package))
    library = Path(done.stdout.strip())
    assert library.suffix == ".so"
    assert not library.parent.exists()


# -- bounds --------------------------------------------------------------------------------------


def test_entries_of_packages_are_bounded(
    cache: LibraryCache, root: Path, package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(library_cache, "MOST_ENTRIES", 20)
    for moment in range(60):
        os.utime(package, (moment, moment))  # as when it is copied again and again
        cache.facts(package)
        entries = list((root / "packages").iterdir())
        assert len(entries) <= 20
    newest = max(entries, key=lambda entry: entry.stat().st_mtime_ns)
    assert newest.name == f"{library_cache._identity(package)}.json"


def test_libraries_stay_within_their_limit_whatever_their_times_are(
    tmp_path: Path, root: Path
) -> None:
    """Clocks may have been wrong when libraries were used."""
    cache = LibraryCache(root, limit_bytes=3 * len(CONTENT))
    for number in range(8):
        content = bytes([number]) * len(CONTENT)
        file = make_package(tmp_path, f"graph{number}", content)
        library = cache.library(file)
        assert library.read_bytes() == content
        moment = library.stat().st_mtime + (-1) ** number * 50 * YEAR
        os.utime(library.parent, (moment, moment))
        total = sum(part.stat().st_size for part in root.rglob("*.so"))
        assert total <= 3 * len(CONTENT)


def test_left_overs_with_times_in_the_future_go_too(root: Path, package: Path) -> None:
    cache = LibraryCache(root, limit_bytes=AMPLE)
    left = root / "libraries" / ".left"
    left.mkdir()
    future = left.stat().st_mtime + YEAR
    os.utime(left, (future, future))
    cache.library(package)
    assert not left.exists()


def test_two_formats_share_a_folder(
    root: Path, package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for version in (1, 2, 1, 2):
        monkeypatch.setattr(library_cache, "_FORMAT", version)
        cache = LibraryCache(root, limit_bytes=AMPLE)
        assert cache.library(package).read_bytes() == CONTENT
    assert len(libraries(root)) == 2
    assert len(list((root / "packages").iterdir())) == 2


# -- what is not what it was ---------------------------------------------------------------------


def test_a_package_replaced_while_it_is_read_is_not_kept(
    cache: LibraryCache, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = make_package(tmp_path, "graph", b"first")
    other = make_package(tmp_path, "other", b"later")

    def replace_then_inspect(file: Path) -> Any:
        shutil.copy(other, tmp_path / "copy")
        (tmp_path / "copy").replace(package)
        return inspect_package(file)

    monkeypatch.setattr(library_cache, "inspect_package", replace_then_inspect)
    with pytest.raises(ArtifactError, match="changed while it was being read"):
        cache.library(package)
    monkeypatch.setattr(library_cache, "inspect_package", inspect_package)
    assert cache.library(package).read_bytes() == b"later"
    assert len(libraries(root)) == 1


def test_a_package_replaced_before_it_is_unpacked_is_not_taken_for_the_first(
    cache: LibraryCache, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = make_package(tmp_path, "graph", b"first")
    known = cache._known(package)
    package.unlink()
    make_package(tmp_path, "graph", b"later")
    monkeypatch.setattr(cache, "_known", lambda file: known)
    with pytest.raises(ArtifactError, match="changed while it was being read"):
        cache.library(package)
    assert libraries(root) == []


def test_a_package_that_has_gone_is_an_artifact_error(cache: LibraryCache, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"gone\.pt2: cannot be read"):
        cache.facts(tmp_path / "gone.pt2")


@pytest.mark.parametrize(
    "damage",
    [
        b'{"content": "../../../etc", "facts": {}}',
        b'{"content": 7, "facts": {}}',
        b"[" * 5000,
        b"\xff",
        b"",
    ],
)
def test_an_entry_that_nobody_wrote_is_made_anew(
    damage: bytes, cache: LibraryCache, root: Path, package: Path
) -> None:
    expected = cache.facts(package)
    (entry,) = (root / "packages").iterdir()
    entry.write_bytes(damage)
    assert cache.facts(package) == expected
    assert cache.library(package).read_bytes() == CONTENT


# -- at once -------------------------------------------------------------------------------------


@pytest.mark.slow
def test_many_processes_of_many_threads_fill_an_empty_cache(root: Path) -> None:
    program = (
        "import sys, torch; from concurrent.futures import ThreadPoolExecutor;"
        "from neml2_aoti_plugin import Model;"
        "strain = {'strain': torch.full((2, 6), 1e-3, dtype=torch.float64)};"
        "pool = ThreadPoolExecutor(8);"
        "found = list(pool.map(lambda _: Model(sys.argv[1]).forward(strain)['stress'], range(16)));"
        "print({tuple(stress.flatten().tolist()) for stress in found})"
    )
    command = [sys.executable, "-c", program, str(compiled("elasticity").root)]
    environment = os.environ | {"NEML2_AOTI_PLUGIN_CACHE": str(root)}

    def run(_: int) -> str:
        return subprocess.run(
            command, capture_output=True, text=True, cwd="/", env=environment, check=True
        ).stdout

    with ThreadPoolExecutor(4) as starters:
        said = set(starters.map(run, range(4)))
    assert len(said) == 1
    assert said.pop().count("(") == 1  # one and the same result in all threads
    assert len(libraries(root)) == 1


def test_an_entry_that_is_whole_stays_while_others_make_it(root: Path) -> None:
    """Whoever got a library can open it, however many unpack the same package at once."""
    package = next(compiled("elasticity").root.rglob("*.pt2"))
    for attempt in range(25):
        start = threading.Barrier(8)

        def opened(_: int, folder: Path = root / str(attempt), start: Any = start) -> bool:
            cache = LibraryCache(folder, limit_bytes=1 << 30)
            start.wait()
            library = cache.library(package)
            return all(library.read_bytes() for _ in range(20))

        with ThreadPoolExecutor(8) as threads:
            assert all(threads.map(opened, range(8)))


def test_nothing_is_removed_to_make_an_entry_that_is_missing(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process may have finished it since it was looked for."""
    removed: list[Path] = []
    remove = LibraryCache._remove

    def noting(cache: LibraryCache, folder: Path) -> None:
        removed.append(folder)
        remove(cache, folder)

    monkeypatch.setattr(LibraryCache, "_remove", noting)
    package = write_package(root.parent / "graph.pt2")
    library = LibraryCache(root, limit_bytes=1 << 30).library(package)
    assert removed == []
    library.unlink()  # now there is a part of one
    assert LibraryCache(root, limit_bytes=1 << 30).library(package).is_file()
    assert removed == [library.parent]
