from __future__ import annotations

import platform
import sys
from pathlib import Path

import pytest

from neml2_aoti_plugin.artifact.machine import Machine, architecture, read_cpu_flags, this_machine

SERVER_FLAGS = frozenset(
    ["avx2", "fma", "f16c", "avx512f", "avx512dq", "avx512vl", "avx512bw", "avx512_vnni"]
)


def machine(*flags: str) -> Machine:
    return Machine(platform="linux", architecture="x86_64", cpu_flags=frozenset(flags))


@pytest.mark.parametrize(
    ("line", "flags"),
    [
        ("flags\t\t: fpu avx2 fma\n", {"fpu", "avx2", "fma"}),
        ("Features\t: fp asimd\n", {"fp", "asimd"}),
        ("features\t: esan3 vxe\n", {"esan3", "vxe"}),
    ],
    ids=["x86", "arm", "z"],
)
def test_flags_of_the_first_cpu_are_read(tmp_path: Path, line: str, flags: set[str]) -> None:
    file = tmp_path / "cpuinfo"
    file.write_text(f"processor\t: 0\nflags of others\t: none\n{line}\nprocessor\t: 1\n")
    assert read_cpu_flags(file) == frozenset(flags)


def test_flags_are_unknown_without_a_line_or_file(tmp_path: Path) -> None:
    file = tmp_path / "cpuinfo"
    assert read_cpu_flags(file) is None
    file.write_text("processor\t: 0\n")
    assert read_cpu_flags(file) is None


def test_missing_flags_are_those_of_all_sets_named() -> None:
    assert machine(*SERVER_FLAGS).missing_flags("AVX512 AVX512_VNNI AMX_TILE") == (
        "amx_tile",
        "amx_bf16",
        "amx_int8",
    )
    assert machine(*SERVER_FLAGS).missing_flags("AVX512 AVX512_VNNI") == ()


def test_offered_sets_use_the_words_of_packages() -> None:
    assert machine(*SERVER_FLAGS).offered_isa() == "AVX2 AVX512 AVX512_VNNI"
    assert machine().offered_isa() == "none of the known ones"


@pytest.mark.parametrize(
    ("spelling", "expected"),
    [("AMD64", "x86_64"), ("x86_64", "x86_64"), ("arm64", "aarch64"), ("s390x", "s390x")],
)
def test_architectures_have_one_spelling(spelling: str, expected: str) -> None:
    assert architecture(spelling) == expected


def test_this_machine_is_described() -> None:
    assert this_machine().platform == sys.platform
    assert this_machine().architecture == architecture(platform.machine())
