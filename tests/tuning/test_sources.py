"""What may be promised of the arguments of a kernel, read off sources as Inductor writes them."""

from __future__ import annotations

import re

import pytest

from neml2_aoti_plugin.tuning.sources import Kernels, UnknownSourceError, marked_kernels

COMPILED_BY = """
// Compile cmd
// g++ /tmp/a.kernel.cpp -D  CPU_CAPABILITY_AVX2 -O3 -DNDEBUG -ffp-contract=off -march=native \
-fPIC -Wall -std=c++20 -include /tmp/b.h -I/include -c -o /tmp/a.kernel.o
// Link cmd
// g++ /tmp/a.kernel.o -shared
"""


def kernel(name: str, *parameters: str) -> str:
    listed = ",\n                       ".join(parameters)
    return f'extern "C"  void  {name}({listed})\n{{\n    in_ptr0[0];\n}}\n'


ADD = kernel("cpp_add_0", "const double* in_ptr0", "double* out_ptr0", "const int64_t ks0")
TWO = kernel("cpp_two_1", "const double* in_ptr0", "const double* in_ptr1", "double* out_ptr0")
NEW = """
    AtenTensorHandle {0}_handle;
    AOTI_TORCH_ERROR_CODE_CHECK(aoti_torch_empty_strided(1, a, b, c, d, e, &{0}_handle));
    RAIIAtenTensorHandle {0}({0}_handle);
"""
VIEW = "auto {} = wrap_with_raii_handle_if_needed(reinterpret_tensor_wrapper({}, 1, a, b, 0L));"
PAIR = "cpp_two_1((const double*)({}.data_ptr()), (const double*)({}.data_ptr()), {});"


def caller(*lines: str) -> str:
    body = "\n    ".join(lines)
    return f"void AOTInductorModel::run_impl(\n) {{\n    {body}\n}}\n"


def marks(kernels: Kernels) -> list[list[bool]]:
    """Per kernel, which parameters are marked."""
    found = re.findall(r'extern "C"\s+void\s+\w+\(([^)]*)\)', kernels.text)
    return [["__restrict__" in parameter for parameter in each.split(",")] for each in found]


def marked(kernels: str, *lines: str) -> list[list[bool]]:
    return marks(marked_kernels(kernels + COMPILED_BY, caller(*lines)))


INPUT = "auto arg0_1 = std::move(inputs[0]);"
SECOND = "auto arg1_1 = std::move(inputs[1]);"
CONSTANT = "[[maybe_unused]] auto& constant0 = constants_->at(0);"
OUT = "(double*)(buf0.data_ptr())"


def test_new_memory_and_what_is_only_read_are_marked() -> None:
    call = f"cpp_add_0((const double*)(arg0_1.data_ptr()), {OUT}, s0);"
    assert marked(ADD, INPUT, NEW.format("buf0"), call) == [[True, True, False]]
    constant = f"cpp_add_0((const double*)(constant0.data_ptr()), {OUT}, s0);"
    assert marked(ADD, CONSTANT, NEW.format("buf0"), constant) == [[True, True, False]]


def test_names_are_listed_and_the_rest_stays_as_it_is() -> None:
    call = f"cpp_add_0((const double*)(arg0_1.data_ptr()), {OUT}, s0);"
    kernels = marked_kernels(ADD + TWO + COMPILED_BY, caller(INPUT, NEW.format("buf0"), call))
    assert kernels.names == ("cpp_add_0", "cpp_two_1")
    assert kernels.marks == 2
    assert kernels.text.replace("* __restrict__", "*").startswith(ADD + TWO + COMPILED_BY)
    assert 'neml2_aoti_kernels[] = {"cpp_add_0", "cpp_two_1", nullptr};' in kernels.text
    assert marks(kernels)[1] == [False] * 3  # never called


@pytest.mark.parametrize(
    "shared",
    [VIEW.format("buf1", "buf0"), "auto buf1 = std::move(buf0);  // reuse"],
    ids=["view", "reuse"],
)
def test_arguments_in_one_memory_are_not_marked(shared: str) -> None:
    pair = PAIR.format("arg0_1", "buf0", "(double*)(buf1.data_ptr())")
    assert marked(TWO, INPUT, NEW.format("buf0"), shared, pair) == [[True, False, False]]


def test_views_of_different_memory_are_marked() -> None:
    views = VIEW.format("var_0", "buf0"), VIEW.format("var_1", "buf1")
    pair = PAIR.format("var_0", "arg0_1", "(double*)(var_1.data_ptr())")
    made = NEW.format("buf0"), NEW.format("buf1")
    assert marked(TWO, INPUT, *made, *views, pair) == [[True, True, True]]


def test_a_name_that_is_used_again_is_what_it_was_last() -> None:
    again = "auto buf1 = std::move(buf0);  // reuse"
    pair = PAIR.format("buf1", "arg0_1", "(double*)(buf2.data_ptr())")
    made = NEW.format("buf0"), NEW.format("buf1"), again, NEW.format("buf2")
    assert marked(TWO, INPUT, *made, pair) == [[True, True, True]]
    pair = PAIR.format("buf1", "buf0", "(double*)(buf2.data_ptr())")
    assert marked(TWO, INPUT, *made, pair) == [[False, False, True]]


def test_every_call_must_allow_a_mark() -> None:
    made = NEW.format("buf0"), NEW.format("buf1"), NEW.format("buf2")
    good = PAIR.format("buf0", "buf1", "(double*)(buf2.data_ptr())")
    bad = PAIR.format("buf0", "buf2", "(double*)(buf2.data_ptr())")
    assert marked(TWO, *made, good) == [[True, True, True]]
    assert marked(TWO, *made, good, bad) == [[True, False, False]]
    assert marked(TWO, *made, bad, good) == [[True, False, False]]


@pytest.mark.parametrize(
    "lines",
    [
        # an input is written to: another one may be the same tensor
        (INPUT, SECOND, PAIR.format("arg1_1", "arg1_1", "(double*)(arg0_1.data_ptr())")),
        # nobody knows where this memory is from
        (INPUT, NEW.format("buf0"), PAIR.format("arg0_1", "other", OUT)),
        (INPUT, VIEW.format("buf0", "other"), PAIR.format("arg0_1", "arg0_1", OUT)),
        # a pointer that is written in another way
        (INPUT, NEW.format("buf0"), PAIR.format("arg0_1", "arg0_1", "get(buf0)")),
        # not the number of arguments that there are
        (INPUT, f"cpp_two_1((const double*)(arg0_1.data_ptr()), {OUT}, s0, s1);"),
    ],
    ids=["written input", "unknown", "view of unknown", "other pointer", "other count"],
)
def test_what_is_not_understood_gets_no_mark(lines: tuple[str, ...]) -> None:
    assert marked(TWO, *lines) == [[False, False, False]]


def test_options_are_those_of_the_first_compilation() -> None:
    kernels = marked_kernels(ADD + COMPILED_BY, caller())
    assert kernels.options == (
        "-DCPU_CAPABILITY_AVX2",
        "-O3",
        "-DNDEBUG",
        "-ffp-contract=off",
        "-march=native",
        "-fPIC",
        "-std=c++20",
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (COMPILED_BY, "no kernel in its source"),
        (ADD, "does not say how it was compiled"),
        (ADD + COMPILED_BY.replace("-Wall", "-fplugin=evil.so"), "option, -fplugin=evil.so"),
        (ADD + COMPILED_BY.replace("-Wall", "--param=x"), "option, --param=x"),
    ],
)
def test_other_sources_are_refused(text: str, message: str) -> None:
    with pytest.raises(UnknownSourceError, match=re.escape(message)):
        marked_kernels(text, caller())
