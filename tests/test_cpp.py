"""Builds the C++ tests of the compiled core and reports each as a test of its own.

Two executables: ``pure`` is compiled without torch in sight, which proves that what claims to need
only the standard library does; ``solver`` links ATen, with graphs written in C++ in place of
compiled ones. ``NEML2_AOTI_TEST_SANITIZE`` builds ``pure``, where all threads are started, with
sanitizers: ``address`` finds overruns and undefined behaviour, ``undefined`` the latter alone,
``thread`` finds data races.
"""

from __future__ import annotations

import fcntl
import functools
import hashlib
import os
import re
import shlex
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from artifact_cache import cache_folder

PROJECT = Path(__file__).resolve().parent.parent
CORE = PROJECT / "csrc"
TESTS = PROJECT / "tests" / "cpp"
SANITIZE_VARIABLE = "NEML2_AOTI_TEST_SANITIZE"
COMPILE_JOBS = 2
RUN_TIMEOUT_S = 120

FLAGS = (
    "-std=c++20",
    "-O1",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-ffp-contract=off",  # scalar oracles must round as tensor operations do
    "-pthread",
    f"-I{CORE}",
    f"-I{TESTS}",
)
SANITIZERS = {
    "": (),
    "address": ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g"),
    "undefined": ("-fsanitize=undefined", "-fno-sanitize-recover=all", "-g"),
    "thread": ("-fsanitize=thread", "-g"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """One executable: the tests of one folder, and what of the core they need."""

    name: str
    core: tuple[str, ...]
    """Patterns below ``csrc``."""
    uses_torch: bool

    def test_sources(self) -> list[Path]:
        return [TESTS / "main.cpp", *sorted((TESTS / self.name).glob("*.cpp"))]

    def sources(self) -> list[Path]:
        core = sorted(path for pattern in self.core for path in CORE.glob(pattern))
        return [*self.test_sources(), *core]

    def declared_tests(self) -> list[str]:
        """Names as written, so that collecting tests compiles nothing."""
        texts = [path.read_text() for path in self.test_sources()]
        return [name for text in texts for name in re.findall(r'^\{"(\w+)",', text, re.MULTILINE)]


PURE = Suite(
    name="pure",
    core=(
        "execution/*.cpp",
        "graphs/remembered_pow.cpp",
        "graphs/small_products.cpp",
        "layout/shapes.cpp",
        "layout/shape_table.cpp",
        "numerics/batched_lu.cpp",
    ),
    uses_torch=False,
)
SOLVER = Suite(
    name="solver",
    core=(
        "execution/*.cpp",
        "graphs/batch_axes.cpp",
        "graphs/spare_tensors.cpp",
        "layout/*.cpp",
        "numerics/*.cpp",
        "segments/*.cpp",
        "model/chain_rule.cpp",
        "model/inputs.cpp",
        "model/parameters.cpp",
        "model/results.cpp",
        "model/tensor_checks.cpp",
        "model/work.cpp",
    ),
    uses_torch=True,
)


class BuildError(Exception):
    """A C++ test did not compile or link."""


def executable(suite: Suite) -> Path:
    """The suite's executable; a build that failed is not tried again."""
    built = _built(suite)
    if isinstance(built, BuildError):
        raise built
    return built


@functools.cache
def _built(suite: Suite) -> Path | BuildError:
    """Builds unless an executable of this content exists."""
    built = cache_folder().parent / "cpp" / f"{suite.name}-{_key(suite)[:16]}" / suite.name
    built.parent.mkdir(parents=True, exist_ok=True)
    with built.parent.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            if not built.exists():
                _build(suite, built)
        except BuildError as error:
            return error
    return built


def _compiler() -> list[str]:
    return shlex.split(os.environ.get("CXX", "")) or [shutil.which("c++") or "g++"]


def _extra_flags(suite: Suite) -> list[str]:
    if suite.uses_torch:
        import torch
        from torch.utils import cpp_extension

        abi = int(torch._C._GLIBCXX_USE_CXX11_ABI)
        includes = [word for path in cpp_extension.include_paths() for word in ("-isystem", path)]
        return [f"-D_GLIBCXX_USE_CXX11_ABI={abi}", *includes]
    return list(SANITIZERS[os.environ.get(SANITIZE_VARIABLE, "")])


def _link_flags(suite: Suite) -> list[str]:
    if not suite.uses_torch:
        return []
    import torch

    libraries = Path(torch.__file__).parent / "lib"
    # What torch's libraries need themselves, they find themselves.
    return [
        f"-L{libraries}",
        f"-Wl,-rpath,{libraries}",
        "-Wl,--allow-shlib-undefined",
        "-ltorch_cpu",
        "-lc10",
    ]


def _key(suite: Suite) -> str:
    version = subprocess.run(
        [*_compiler(), "--version"], capture_output=True, text=True, check=True
    ).stdout
    digest = hashlib.sha256()
    digest.update(repr((_compiler(), version, FLAGS, _extra_flags(suite))).encode())
    if suite.uses_torch:
        import torch

        digest.update(torch.__version__.encode())
    headers = [path for folder in (CORE, TESTS) for path in sorted(folder.rglob("*.h"))]
    for path in [*headers, *suite.sources()]:
        digest.update(f"{path.relative_to(PROJECT)}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _build(suite: Suite, built: Path) -> None:
    extra = [*_extra_flags(suite), *_precompiled(suite, built.parent)]

    def compiled(source: Path) -> Path:
        flat = "-".join(source.relative_to(PROJECT).with_suffix(".o").parts)
        target = built.parent / flat
        _call([*_compiler(), *FLAGS, *extra, "-c", str(source), "-o", str(target)])
        return target

    with ThreadPoolExecutor(COMPILE_JOBS) as pool:
        objects = list(pool.map(compiled, suite.sources()))
    partial = built.with_suffix(".partial")
    _call(
        [
            *_compiler(),
            *FLAGS,
            *_extra_flags(suite),
            *map(str, objects),
            *("-o", str(partial)),
            *_link_flags(suite),
        ]
    )
    partial.replace(built)
    for path in (*objects, *built.parent.glob("precompiled.*")):
        path.unlink()


def _precompiled(suite: Suite, folder: Path) -> list[str]:
    """Compile torch's headers once, which nearly halves the build; the flags that use them."""
    if not suite.uses_torch:
        return []
    header = folder / "precompiled.h"
    shutil.copy(TESTS / suite.name / header.name, header)
    _call(
        [
            *_compiler(),
            *FLAGS,
            *_extra_flags(suite),
            *("-x", "c++-header", str(header), "-o", f"{header}.gch"),
        ]
    )
    return ["-include", str(header)]


def _call(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BuildError(f"{shlex.join(command)}\nexited with {done.returncode}:\n{done.stderr}")


@functools.cache
def outcomes(suite: Suite) -> dict[str, str]:
    """Every test that passed, with empty text, or that did not, with what it said.

    One run for all; if it crashes, the last test that began is blamed and the rest are absent.
    """
    done = subprocess.run(
        [str(executable(suite))],
        capture_output=True,
        text=True,
        timeout=RUN_TIMEOUT_S,
        # A forked child starts threads, which the thread sanitizer has to be told to bear.
        env=os.environ | {"OMP_NUM_THREADS": "1", "TSAN_OPTIONS": "die_after_fork=0"},
        check=False,
    )
    races = re.search(r"WARNING: ThreadSanitizer: .*", done.stderr, re.DOTALL)
    assert not races, races.group() if races else ""
    said: dict[str, str] = {}
    parts = re.split(r"^begin (\w+)\n", done.stdout, flags=re.MULTILINE)
    for name, text in zip(parts[1::2], parts[2::2], strict=True):
        crash = f"exited with {done.returncode}:\n{done.stderr}"
        is_passed = text.endswith(f"passed {name}\n")
        is_failed = text.endswith(f"failed {name}\n")
        said[name] = "" if is_passed else text if is_failed else text + crash
    return said


def _run(suite: Suite, name: str) -> None:
    said = outcomes(suite).get(name, "did not run: an earlier test ended the executable")
    assert not said, f"{name}:\n{said}"


@pytest.mark.parametrize("name", PURE.declared_tests())
def test_without_torch(name: str) -> None:
    _run(PURE, name)


@pytest.mark.parametrize("name", SOLVER.declared_tests())
def test_with_torch(name: str) -> None:
    _run(SOLVER, name)


@pytest.mark.parametrize("suite", [PURE, SOLVER], ids=lambda suite: suite.name)
def test_every_cpp_test_is_collected(suite: Suite) -> None:
    listed = subprocess.run(
        [str(executable(suite)), "--list"], capture_output=True, text=True, check=True
    ).stdout.split()

    assert sorted(listed) == sorted(suite.declared_tests())
    assert len(set(listed)) == len(listed)


def test_a_name_that_is_not_of_a_test_is_refused() -> None:
    done = subprocess.run([str(executable(PURE)), "no_such_test"], check=False, capture_output=True)

    assert done.returncode == 2
