"""Builds the compiled runtime against the torch of this environment, and says which torch that was;
all else is in setup.cfg."""

from __future__ import annotations

import copy
import os
import sys
from pathlib import Path

from setuptools import setup

MISSING_BUILD_REQUIREMENT = """
neml2-aoti-plugin is built against the torch of the environment it will run in, and no usable
{missing} was found ({error}).
Install torch, setuptools, wheel and pybind11 first, then this package without build isolation:

    pip install torch setuptools wheel pybind11
    pip install --no-build-isolation .
"""


def _build_tools():
    try:
        import torch
        from torch.utils import cpp_extension
    except ImportError as error:
        sys.exit(MISSING_BUILD_REQUIREMENT.format(missing="torch", error=error))
    try:
        import pybind11
    except ImportError as error:
        sys.exit(MISSING_BUILD_REQUIREMENT.format(missing="pybind11", error=error))
    return torch, cpp_extension, pybind11


def _extension(torch, cpp_extension, pybind11):
    sources = sorted(str(path) for path in Path("csrc").rglob("*.cpp"))
    depends = sorted(str(path) for path in Path("csrc").rglob("*.h"))
    # To keep the kernels that a thread runs on that thread. The runtime is the one torch brings.
    openmp = ["-fopenmp"] if sys.platform == "linux" else []
    return cpp_extension.CppExtension(
        "neml2_aoti_plugin._core._runtime",
        sources,
        depends=depends,
        include_dirs=[str(Path("csrc").resolve()), pybind11.get_include()],
        define_macros=[("NEML2_AOTI_BUILT_WITH_TORCH", f'"{torch.__version__}"')],
        extra_compile_args=[
            *("-O3", "-g0", "-std=c++20", "-Wall", "-fvisibility=hidden"),
            *openmp,
            *_sanitizer_flags(),
        ],
        extra_link_args=[*openmp, *_sanitizer_flags()],
    )


def _sanitizer_flags() -> list[str]:
    """What ``make sanitize-python`` builds with."""
    sanitizer = os.environ.get("NEML2_AOTI_SANITIZE")
    if not sanitizer:
        return []
    return [f"-fsanitize={sanitizer}", "-O1", "-g1", "-fno-omit-frame-pointer"]


def _build_command(torch, cpp_extension):
    class BuildExtension(cpp_extension.BuildExtension):
        """Also records the torch version, for the check that runs before the library is opened."""

        def run(self) -> None:
            super().run()
            built = Path(self.get_ext_fullpath("neml2_aoti_plugin._core._runtime"))
            (built.parent / "_built_with.py").write_text(f'TORCH = "{torch.__version__}"\n')

        def build_extension(self, ext) -> None:
            units = copy.copy(ext)  # the sources are still to be told
            units.sources = _units(ext.sources, Path(self.build_temp))
            units.depends = [*ext.depends, *ext.sources]
            super().build_extension(units)

        def get_source_files(self) -> list[str]:
            return super().get_source_files() + self.extensions[0].depends

    return BuildExtension.with_options(use_ninja=_has_ninja(cpp_extension))


def _units(sources: list[str], folder: Path) -> list[str]:
    """One file for every folder of sources, which includes them all.

    To parse torch's headers takes longer than to compile what uses them: one file at a time, a
    build takes several times as long.
    """
    of_folder: dict[Path, list[Path]] = {}
    for source in map(Path, sources):
        of_folder.setdefault(source.parent, []).append(source)
    folder.mkdir(parents=True, exist_ok=True)
    units = []
    for parent, members in of_folder.items():
        unit = folder / f"{parent.name}.cpp"
        text = "".join(f'#include "{member.resolve()}"\n' for member in members)
        if not unit.exists() or unit.read_text() != text:  # what is newer is compiled again
            unit.write_text(text)
        units.append(str(unit))
    return units


def _requirements(torch) -> list[str]:
    """What is built runs on the torch that it was built with; sources can be built for others."""
    if "sdist" in sys.argv:
        return ["torch>=2.10"]
    public = str(torch.__version__).partition("+")[0]
    return [f"torch=={public}"]


def _has_ninja(cpp_extension) -> bool:
    return bool(cpp_extension.is_ninja_available())


os.chdir(Path(__file__).parent)
_torch, _cpp_extension, _pybind11 = _build_tools()
setup(
    install_requires=_requirements(_torch),
    ext_modules=[_extension(_torch, _cpp_extension, _pybind11)],
    cmdclass={"build_ext": _build_command(_torch, _cpp_extension)},
)
