"""What this machine can run, in the words that compiled packages use."""

from __future__ import annotations

import functools
import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_ARCHITECTURES: Mapping[str, str] = {"amd64": "x86_64", "arm64": "aarch64"}

_FLAGS_OF_ISA: Mapping[str, tuple[str, ...]] = {
    "AVX2": ("avx2", "fma", "f16c"),
    "AVX512": ("avx512f", "avx512dq", "avx512vl", "avx512bw", "fma"),
    "AVX512_VNNI": ("avx512_vnni",),
    "AMX_TILE": ("amx_tile", "amx_bf16", "amx_int8"),
    "ASIMD": ("asimd",),
    "ZVECTOR": ("vxe",),
}
"""CPU flags by instruction set, both as named in ``AOTI_CPU_ISA`` and in ``/proc/cpuinfo``.

What is not listed (``VSX``, ``INVALID_VEC_ISA`` for none, later names) asks for no flag. The
compiler may use further extensions of its own machine, which packages do not record.
"""

_FLAG_LINES = ("flags", "Features", "features")


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    platform: str
    """As ``sys.platform``."""
    architecture: str
    """As ``platform.machine()``, one spelling for each architecture."""
    cpu_flags: frozenset[str] | None
    """``None`` where the system does not tell: then nothing is refused for its instruction set."""

    def missing_flags(self, isa: str) -> tuple[str, ...]:
        """Flags that the instruction sets ``isa`` (separated by blanks) need and the CPU lacks."""
        if self.cpu_flags is None:
            return ()
        wanted = (flag for word in isa.split() for flag in _FLAGS_OF_ISA.get(word, ()))
        return tuple(dict.fromkeys(flag for flag in wanted if flag not in self.cpu_flags))

    def offered_isa(self) -> str:
        """The instruction sets that the CPU has, for messages."""
        offered = [word for word in _FLAGS_OF_ISA if not self.missing_flags(word)]
        return " ".join(offered) or "none of the known ones"


@functools.cache
def this_machine() -> Machine:
    return Machine(
        platform=sys.platform,
        architecture=architecture(platform.machine()),
        cpu_flags=read_cpu_flags(Path("/proc/cpuinfo")),
    )


def architecture(machine: str) -> str:
    """One spelling for architectures that systems spell differently."""
    lowered = machine.lower()
    return _ARCHITECTURES.get(lowered, lowered)


def read_cpu_flags(file: Path) -> frozenset[str] | None:
    """Flags of the first CPU in a ``/proc/cpuinfo``; ``None`` where there is none."""
    try:
        with file.open(encoding="ascii", errors="replace") as stream:
            for line in stream:
                key, _, value = line.partition(":")
                if key.strip() in _FLAG_LINES:
                    return frozenset(value.split())
    except OSError:
        return None
    return None
