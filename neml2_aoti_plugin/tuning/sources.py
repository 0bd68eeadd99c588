"""Kernels in the source that a package carries, and what may be promised of their arguments.

The compiler that made a package writes kernels as functions of pointers, and says nowhere that two
pointers lead to different memory. So every number is read again after each one that is written, and
nothing is moved out of a loop: a power that is the same for the six components of a tensor is taken
six times. The caller of the kernels, in the source beside them, shows which memory each pointer
leads to::

    aoti_torch_empty_strided(2, ..., &buf1_handle)          new memory
    RAIIAtenTensorHandle buf1(buf1_handle);
    auto arg0_1 = std::move(inputs[0]);                     an input, only read
    auto buf2 = ...(reinterpret_tensor_wrapper(buf1, ...    memory of another one
    auto buf3 = std::move(buf1);  // reuse                  likewise
    cpp_fused_mul_0((const double*)(arg0_1.data_ptr()), (double*)(buf1.data_ptr()), s0);

An argument whose memory no other argument of any call shares is marked ``__restrict__``. What is
not understood gets no mark.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

_KERNEL = re.compile(r'extern "C"\s+void\s+(\w+)\(([^()]*)\)')
_CALLER = "::run_impl("
_OWNER = re.compile(r"\bRAIIAtenTensorHandle (\w+)\(\1_handle\);")
_GIVEN = re.compile(r"\bauto&? (\w+) = (?:std::move\(inputs\[\d+\]\)|constants_->at\(\d+\));")
_MOVED = re.compile(r"\bauto (\w+) = std::move\((\w+)\);")
_VIEW = re.compile(
    r"\bauto (\w+) = wrap_with_raii_handle_if_needed\(reinterpret_tensor_wrapper\((\w+),"
)
_CALL = re.compile(r"^\s*(\w+)\((.*)\);\s*$")
_POINTER = re.compile(r"^\((const )?\w+\*\)\((\w+)\.data_ptr\(\)\)$")
_PLAIN = re.compile(r"^\w+$")

_COMMAND = "// Compile cmd"
_KNOWN_OPTIONS = (
    re.compile(r"-O[0-3]"),
    re.compile(r"-std=c\+\+\d\d"),
    re.compile(r"-D\w+(=\w+)?"),
    re.compile(r"-m[a-z0-9.-]+(=[a-z0-9-]+)?"),
    re.compile(r"-f(?!plugin)[a-zA-Z-]+(=(off|on|fast|standard))?"),
)
_WITH_VALUE = ("-include", "-I", "-L", "-o", "-x")
_LEFT_OUT = re.compile(r"-I.*|-L.*|-l.*|-W.*|-c|-shared|-pedantic|-g\d?|//|[^-].*")
"""Of the compiler's own folders and files; warnings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernels:
    """What can be compiled again."""

    text: str
    """With the marks, and a list of the names."""
    names: tuple[str, ...]
    options: tuple[str, ...]
    """What it was compiled with."""
    marks: int
    """How many arguments are marked."""


class UnknownSourceError(Exception):
    """The source is not as known compilers write it; the message says what was found."""


def marked_kernels(kernels: str, caller: str) -> Kernels:
    """The source ``kernels`` with marks, as the calls in the source ``caller`` allow.

    Raises :class:`UnknownSourceError` where there is no kernel, or no command that it was compiled
    by.
    """
    names = tuple(name for name, _ in _KERNEL.findall(kernels))
    if not names:
        raise UnknownSourceError("no kernel in its source")
    allowed = _allowed(caller, names)
    marks = sum(sum(flags) for flags in allowed.values())
    text = _KERNEL.sub(lambda found: _marked(found, allowed.get(found[1], ())), kernels)
    listed = ", ".join(f'"{name}"' for name in names)
    text += f'\nextern "C" const char * const neml2_aoti_kernels[] = {{{listed}, nullptr}};\n'
    return Kernels(text=text, names=names, options=_options(kernels), marks=marks)


def _marked(kernel: re.Match[str], flags: tuple[bool, ...]) -> str:
    parameters = kernel[2].split(",")
    if len(flags) != len(parameters):
        return kernel[0]
    marked = [
        parameter.replace("*", "* __restrict__", 1) if flag else parameter
        for parameter, flag in zip(parameters, flags, strict=True)
    ]
    return kernel[0].replace(kernel[2], ",".join(marked))


# --- who shares memory with whom


def _allowed(caller: str, names: tuple[str, ...]) -> dict[str, tuple[bool, ...]]:
    """For every kernel that is called, which of its arguments may be marked: those for which every
    call allows it."""
    allowed: dict[str, tuple[bool, ...]] = {}
    for name, flags in _calls(caller, frozenset(names)):
        before = allowed.get(name, flags)
        allowed[name] = tuple(map(min, before, flags)) if len(before) == len(flags) else ()
    return allowed


def _calls(caller: str, names: frozenset[str]) -> Iterator[tuple[str, tuple[bool, ...]]]:
    owners: dict[str, str] = {}
    given: set[str] = set()
    for line in caller.partition(_CALLER)[2].splitlines():
        for name in _OWNER.findall(line):
            owners[name] = name
        for name in _GIVEN.findall(line):
            owners[name] = name
            given.add(name)
        for name, origin in (*_MOVED.findall(line), *_VIEW.findall(line)):
            owners.pop(name, None)
            if origin in owners:
                owners[name] = owners[origin]
        call = _CALL.match(line)
        if call and call[1] in names:
            yield call[1], _distinct(call[2], owners, given)


def _distinct(arguments: str, owners: dict[str, str], given: set[str]) -> tuple[bool, ...]:
    """Which arguments of a call are pointers to memory that no other one leads to.

    Inputs may share memory with one another, which does no harm as long as they are only read.
    """
    listed = [argument.strip() for argument in arguments.split(", ")]
    memory: list[str | None] = []
    for argument in listed:
        pointer = _POINTER.match(argument)
        if pointer is None and _PLAIN.match(argument):
            memory.append(None)  # a number
            continue
        owner = owners.get(pointer[2]) if pointer else None
        if pointer is None or owner is None or (owner in given and not pointer[1]):
            return (False,) * len(listed)
        memory.append(owner)
    return tuple(owner is not None and memory.count(owner) == 1 for owner in memory)


# --- how they were compiled


def _options(kernels: str) -> tuple[str, ...]:
    command = kernels.rpartition(_COMMAND)[2].strip().partition("\n")[0]
    words = iter(shlex.split(command.removeprefix("//"))[1:])
    options: list[str] = []
    for word in words:
        if word in ("-D", *_WITH_VALUE):
            value = next(words, "")
            if word != "-D":
                continue
            word = f"-D{value}"
        if any(known.fullmatch(word) for known in _KNOWN_OPTIONS):
            options.append(word)
        elif not _LEFT_OUT.fullmatch(word):
            raise UnknownSourceError(f"its kernels were compiled with an unknown option, {word}")
    if not any(option.startswith("-O") for option in options):
        raise UnknownSourceError("its source does not say how it was compiled")
    return tuple(options)
