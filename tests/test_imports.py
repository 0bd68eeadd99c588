"""A function that a loaded library imports is exchanged for that library alone."""

from __future__ import annotations

import ctypes
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

CORE = Path(__file__).resolve().parent.parent / "csrc"

BRIDGE = """
#include "graphs/imports.h"

extern "C" bool redirect(const char * path, const char * name, void * target)
{
  return neml2_aoti_plugin::redirect_import(path, name, target);
}
"""
CALLER = """
#include <math.h>

double power(double base, double exponent) { return pow(base, exponent); }
"""

Power = ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_double, ctypes.c_double)
Redirect = Callable[[Path, str, object], bool]

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="libraries of Linux are ELF")


@Power
def twelve(base: float, exponent: float) -> float:
    return 12.0


def compiled(folder: Path, name: str, text: str, *flags: str) -> Path:
    """A shared library; whether it is C or C++ is in its name."""
    source, library = folder / name, folder / f"{name}.so"
    source.write_text(text)
    compiler = shlex.split(os.environ.get("CXX", "c++"))
    language = ("-x", "c") if source.suffix == ".c" else ("-std=c++20",)
    command = [*compiler, *language, "-O1", "-shared", "-fPIC", *flags, str(source)]
    subprocess.run([*command, "-x", "none", "-lm", "-o", str(library)], check=True)
    return library


@pytest.fixture(scope="module")
def redirect(tmp_path_factory: pytest.TempPathFactory) -> Redirect:
    folder = tmp_path_factory.mktemp("bridge")
    sources = f'{BRIDGE}\n#include "{CORE / "graphs" / "imports.cpp"}"\n'
    bridge = ctypes.CDLL(str(compiled(folder, "bridge.cpp", sources, f"-I{CORE}")))
    bridge.redirect.restype = ctypes.c_bool
    bridge.redirect.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_void_p]

    def call(path: Path, name: str, target: object) -> bool:
        address = ctypes.cast(target, ctypes.c_void_p)  # type: ignore[arg-type]
        return bool(bridge.redirect(str(path).encode(), name.encode(), address))

    return call


def power_of(library: Path) -> Callable[[float, float], float]:
    function = ctypes.CDLL(str(library)).power
    function.restype, function.argtypes = ctypes.c_double, [ctypes.c_double, ctypes.c_double]
    return lambda base, exponent: float(function(base, exponent))


def protections(library: Path) -> list[str]:
    """How the parts of the library may be used, in the order of their addresses."""
    lines = Path("/proc/self/maps").read_text().splitlines()
    return [line.split()[1] for line in lines if line.endswith(str(library))]


@pytest.mark.parametrize(
    "flags",
    [
        ("-Wl,-z,lazy", "-Wl,-z,norelro"),
        ("-Wl,-z,lazy", "-Wl,-z,relro"),
        ("-Wl,-z,now", "-Wl,-z,relro"),
        ("-fno-plt", "-Wl,-z,now", "-Wl,-z,relro"),
    ],
    ids=" ".join,
)
def test_calls_of_one_library_go_elsewhere(
    redirect: Redirect, tmp_path: Path, flags: tuple[str, ...]
) -> None:
    library = compiled(tmp_path, "changed.c", CALLER, *flags)
    other = compiled(tmp_path, "other.c", CALLER, *flags)
    power, power_of_other = power_of(library), power_of(other)
    assert (power(2.0, 3.0), power_of_other(2.0, 3.0)) == (8.0, 8.0)
    before = protections(library)

    assert redirect(library, "pow", twelve)
    assert (power(2.0, 3.0), power_of_other(2.0, 3.0)) == (12.0, 8.0)
    assert protections(library) == before

    assert redirect(library, "pow", twelve)  # once more does no harm
    assert power(2.0, 3.0) == 12.0


def test_call_that_was_not_bound_yet_goes_elsewhere(redirect: Redirect, tmp_path: Path) -> None:
    library = compiled(tmp_path, "lazy.c", CALLER, "-Wl,-z,lazy")
    power = power_of(library)

    assert redirect(library, "pow", twelve)
    assert power(2.0, 3.0) == 12.0


def test_calls_to_a_function_of_its_own_go_elsewhere(redirect: Redirect, tmp_path: Path) -> None:
    """As graphs call their kernels."""
    inner = "#include <math.h>\ndouble inner(double a, double b) { return pow(a, b); }\n"
    outer = "double inner(double, double);\ndouble power(double a, double b) "
    text = f"{inner}{outer}{{ return inner(a, b); }}\n"
    library = compiled(tmp_path, "own.c", text, "-fno-inline", "-fsemantic-interposition")
    power = power_of(library)
    assert power(2.0, 3.0) == 8.0
    assert redirect(library, "inner", twelve)
    assert power(2.0, 3.0) == 12.0


def test_what_is_not_imported_or_not_loaded_is_left_alone(
    redirect: Redirect, tmp_path: Path
) -> None:
    library = compiled(tmp_path, "left.c", CALLER)
    assert not redirect(library, "pow", twelve)  # not loaded

    power = power_of(library)
    assert not redirect(library, "po", twelve)
    assert not redirect(library, "power", twelve)  # its own
    assert not redirect(tmp_path / "missing.so", "pow", twelve)
    assert power(2.0, 3.0) == 8.0
