"""What is handed on: the archive of sources, the wheel made of it, what they say of themselves."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from email.message import Message
from email.parser import Parser
from importlib import metadata
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent
NAME = "neml2-aoti-plugin"

NOT_HANDED_ON = (".ci/", ".clang-format", ".gitignore", "MANIFEST.in")
"""Files of the repository for those who work on it; setuptools adds MANIFEST.in by itself."""
MADE = ("PKG-INFO", "MANIFEST.in", "neml2_aoti_plugin.egg-info/")
"""What the archive has beside."""

BUILD = """
import sys
from setuptools import build_meta
print(getattr(build_meta, sys.argv[1])(sys.argv[2]))
"""

BUILD_WITHOUT_COMPILING = """
import sys
from pathlib import Path
from torch.utils import cpp_extension

class NoCompiler(cpp_extension.BuildExtension):
    def run(self):
        library = Path(self.build_lib, self.get_ext_filename(self.extensions[0].name))
        library.parent.mkdir(parents=True, exist_ok=True)
        library.touch()

cpp_extension.BuildExtension = NoCompiler
"""


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the repository, in a folder of their own: building leaves files behind."""
    folder = tmp_path_factory.mktemp("sources")
    for name in _repository():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(PROJECT / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def sdist(sources: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _built(sources, "build_sdist", tmp_path_factory.mktemp("sdist"), BUILD)


@pytest.fixture(scope="module")
def unpacked(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    (top,) = folder.iterdir()
    return top


def _repository() -> list[str]:
    if not (PROJECT / ".git").exists():
        pytest.skip("only a clone tells which files are its own")
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True)
    return [name for name in listed.stdout.splitlines() if (PROJECT / name).is_file()]


def _built(folder: Path, hook: str, target: Path, program: str) -> Path:
    run = subprocess.run(
        [sys.executable, "-c", program, hook, str(target)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return target / run.stdout.splitlines()[-1]


def _files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_archive_of_sources_is_the_repository(unpacked: Path) -> None:
    handed_on = {name for name in _repository() if not name.startswith(NOT_HANDED_ON)}
    found = {name for name in _files(unpacked) if not name.startswith(MADE)}

    assert found - handed_on == set()
    assert handed_on - found == set()


def test_archive_holds_what_a_build_needs(unpacked: Path) -> None:
    needed = {"LICENSE", "README.md", "pyproject.toml", "setup.py", "csrc/bindings/module.cpp"}

    assert needed <= _files(unpacked)
    for name in _files(unpacked / "csrc"):
        assert (unpacked / "csrc" / name).read_bytes() == (PROJECT / "csrc" / name).read_bytes()


def test_sources_ask_for_no_certain_torch(unpacked: Path) -> None:
    required = (unpacked / "neml2_aoti_plugin.egg-info" / "requires.txt").read_text()

    assert required.partition("[")[0].split() == ["torch>=2.10"]


@pytest.mark.slow
def test_wheel_of_the_archive_is_that_of_the_repository(
    sources: Path, unpacked: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """But for the library, which takes minutes and is made of the same sources."""
    make: Callable[[str, Path], Path] = lambda name, folder: _built(  # noqa: E731
        folder, "build_wheel", tmp_path_factory.mktemp(name), BUILD_WITHOUT_COMPILING + BUILD
    )
    here, there = make("here", sources), make("there", unpacked)

    assert here.name == there.name
    assert _contents(here) == _contents(there)
    (entry,) = [name for name in _contents(here) if name.endswith("entry_points.txt")]
    assert b"neml2_aoti_plugin = _neml2_aoti_plugin_autoload:autoload" in _contents(here)[entry]


def _contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _unconditional(facts: Message) -> list[str]:
    required = facts.get_all("Requires-Dist", [])
    return [each.replace(" ", "") for each in required if "extra" not in each]


# --- what is installed


@pytest.fixture(scope="module")
def installed() -> Message:
    return Parser().parsestr(metadata.distribution(NAME).read_text("METADATA") or "")


def test_what_is_installed_asks_for_the_torch_it_was_built_with(installed: Message) -> None:
    assert _unconditional(installed) == [f"torch=={metadata.version('torch').partition('+')[0]}"]


def test_what_is_installed_shows_the_readme(installed: Message) -> None:
    assert installed["Description-Content-Type"] == "text/markdown"
    assert installed.get_payload().strip() == (PROJECT / "README.md").read_text().strip()


def test_what_is_installed_has_its_licence_types_and_no_sources_of_the_core() -> None:
    files = {str(path) for path in metadata.files(NAME) or ()}

    assert {"neml2_aoti_plugin/py.typed", "neml2_aoti_plugin/_core/_runtime.pyi"} <= files
    assert any(name.endswith("LICENSE") for name in files)
    assert [name for name in files if name.endswith((".cpp", ".h"))] == []
    assert [name for name in files if name.startswith(("tests", "docs", "csrc"))] == []


def test_everything_for_users_is_in_one_extra(installed: Message) -> None:
    extras = set(installed.get_all("Provides-Extra", []))
    required = installed.get_all("Requires-Dist", [])
    (listed,) = [each for each in required if re.search(r"extra == .all.", each)]
    (names,) = re.findall(r"^[\w-]+\[([\w,]+)\]", listed)

    assert set(names.split(",")) == extras - {"all", "docs", "fuzz", "test"}
