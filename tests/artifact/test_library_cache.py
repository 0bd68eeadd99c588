"""Packages inspected and unpacked once, by whichever process comes first."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from artifact_cache import compiled
from made_up_artifacts import package_members, write_package

from neml2_aoti_plugin import Model
from neml2_aoti_plugin.artifact import library_cache
from neml2_aoti_plugin.artifact.library_cache import LibraryCache, default_cache
from neml2_aoti_plugin.artifact.package import inspect_package
from neml2_aoti_plugin.errors import ArtifactError

AMPLE = 1 << 30


@pytest.fixture
def cache(tmp_path: Path) -> LibraryCache:
    return LibraryCache(tmp_path / "cache", limit_bytes=AMPLE)


def package(folder: Path, name: str = "graph", filling: bytes = b"library") -> Path:
    members = package_members(name)
    library = next(member for member in members if member.endswith(".so"))
    return write_package(folder / f"{name}.pt2", members | {library: filling})


def entries(tmp_path: Path, kind: str) -> list[Path]:
    return sorted((tmp_path / "cache" / kind).iterdir())


def test_facts_are_those_of_an_inspection(cache: LibraryCache, tmp_path: Path) -> None:
    file = package(tmp_path)
    assert cache.facts(file) == inspect_package(file)
    assert cache.facts(file) == inspect_package(file)  # as it was written down


def test_a_package_is_inspected_once(
    cache: LibraryCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = package(tmp_path)
    expected = cache.facts(file)

    def refuse(file: Path) -> None:
        raise AssertionError("inspected again")

    monkeypatch.setattr(library_cache, "inspect_package", refuse)
    assert cache.facts(file) == expected


def test_a_library_is_unpacked_with_what_is_beside_it_but_sources(
    cache: LibraryCache, tmp_path: Path
) -> None:
    library = cache.library(package(tmp_path, filling=b"machine code"))
    assert library.suffix == ".so"
    assert library.read_bytes() == b"machine code"
    names = {file.name for file in library.parent.iterdir()}
    assert not any(name.endswith(".cpp") for name in names)
    assert any(name.endswith("_metadata.json") for name in names)


def test_equal_packages_share_a_library(cache: LibraryCache, tmp_path: Path) -> None:
    file = package(tmp_path)
    copy = shutil.copy(file, tmp_path / "copy.pt2")
    assert cache.library(copy) == cache.library(file)


def test_a_package_that_was_written_anew_is_another_one(
    cache: LibraryCache, tmp_path: Path
) -> None:
    cache.library(package(tmp_path, filling=b"first"))
    assert cache.library(package(tmp_path, filling=b"later")).read_bytes() == b"later"


def test_a_damaged_package_is_refused_as_without_a_cache(
    cache: LibraryCache, tmp_path: Path
) -> None:
    file = package(tmp_path)
    cache.facts(file)
    file.write_bytes(file.read_bytes()[:-40])
    with pytest.raises(ArtifactError, match="not readable as a zip archive"):
        cache.facts(file)


def test_an_unreadable_entry_is_made_anew(cache: LibraryCache, tmp_path: Path) -> None:
    file = package(tmp_path)
    expected = cache.facts(file)
    for damage in ("", "{}", "[1]", '{"content": "x", "facts": {"operators": 3}}'):
        entries(tmp_path, "packages")[0].write_text(damage)
        assert cache.facts(file) == expected


def test_the_library_used_longest_ago_goes_first(tmp_path: Path) -> None:
    cache = LibraryCache(tmp_path / "cache", limit_bytes=30_000)
    libraries = []
    for number in range(4):
        library = cache.library(package(tmp_path, f"graph{number}", b"%d" % number * 10_000))
        os.utime(library.parent, (number, number))
        libraries.append(library)
    assert [library.exists() for library in libraries] == [False, False, True, True]


def test_a_library_that_has_gone_is_unpacked_again(tmp_path: Path) -> None:
    cache = LibraryCache(tmp_path / "cache", limit_bytes=0)
    first = package(tmp_path, "first", b"first")
    cache.library(first)
    cache.library(package(tmp_path, "second", b"second"))
    assert cache.library(first).read_bytes() == b"first"


def test_threads_get_one_library(cache: LibraryCache, tmp_path: Path) -> None:
    file = package(tmp_path, filling=b"x" * 100_000)
    with ThreadPoolExecutor(8) as pool:
        libraries = set(pool.map(lambda _: cache.library(file), range(32)))
    assert len(libraries) == 1
    assert libraries.pop().stat().st_size == 100_000
    assert len(entries(tmp_path, "libraries")) == 1


def test_processes_get_one_library(tmp_path: Path) -> None:
    file = package(tmp_path, filling=b"x" * 100_000)
    script = (
        "import sys; from pathlib import Path;"
        "from neml2_aoti_plugin.artifact.library_cache import LibraryCache;"
        "cache = LibraryCache(Path(sys.argv[1]), limit_bytes=1 << 30);"
        "print(cache.library(Path(sys.argv[2])))"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "cache"), str(file)]
    workers = [
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=tmp_path) for _ in range(4)
    ]
    found = {worker.communicate(timeout=60)[0] for worker in workers}
    assert {worker.returncode for worker in workers} == {0}
    assert len(found) == 1
    assert len(entries(tmp_path, "libraries")) == 1


def test_a_folder_that_others_may_write_to_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    folder.mkdir()
    folder.chmod(folder.stat().st_mode | stat.S_IWOTH)
    with pytest.raises(PermissionError, match="must be yours alone"):
        LibraryCache(folder, limit_bytes=AMPLE)


@pytest.mark.parametrize("off", ["0", "off", "False", "no"])
def test_the_cache_can_be_switched_off(off: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEML2_AOTI_PLUGIN_CACHE", off)
    assert default_cache() is None


def test_the_cache_is_in_the_user_s_cache_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NEML2_AOTI_PLUGIN_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_cache() is not None
    assert (tmp_path / "neml2_aoti_plugin" / "libraries").is_dir()


def test_the_cache_may_be_somewhere_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEML2_AOTI_PLUGIN_CACHE", str(tmp_path / "mine"))
    cache = default_cache()
    assert cache is not None
    assert cache.library(package(tmp_path)).is_relative_to(tmp_path / "mine")


def test_a_cache_that_cannot_be_made_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("NEML2_AOTI_PLUGIN_CACHE", str(tmp_path / "file" / "cache"))
    assert default_cache() is None


@pytest.mark.parametrize("limit", ["-1", "many", "1.5"])
def test_a_limit_that_is_no_number_is_refused(limit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEML2_AOTI_PLUGIN_CACHE_MB", limit)
    with pytest.raises(ValueError, match=r"NEML2_AOTI_PLUGIN_CACHE_MB is .*whole number"):
        default_cache()


def test_a_model_runs_with_and_without_a_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = []
    for folder in ("0", str(tmp_path / "cache"), str(tmp_path / "cache")):
        monkeypatch.setenv("NEML2_AOTI_PLUGIN_CACHE", folder)
        strain = torch.full((3, 6), 1e-3, dtype=torch.float64)
        answers.append(Model(compiled("elasticity").root).forward({"strain": strain})["stress"])
    assert len(entries(tmp_path, "libraries")) == 1
    assert all(torch.equal(answer, answers[0]) for answer in answers)
