"""What the generated source of a graph says of its arguments."""

from __future__ import annotations

import json

import pytest

from neml2_aoti_plugin.artifact.signature import GraphArgument, read_arguments


def source(*arguments: str, call_spec: str = "") -> str:
    """A source as the compiler writes it, in the part that is read; see :func:`argument`."""
    names = [f'    inputs_info_[{index}].name = "arg{index}_1";' for index in range(len(arguments))]
    return "\n".join([*names, call_spec, *arguments])


def argument(index: int, *extents: int | None, dtype: str = "float64", base: int = 1) -> str:
    """Checks of one argument; ``None`` is an extent that may vary."""
    name = f"arg{index}_1"
    lines = [f"    int32_t {name}_expected_dtype = aoti_torch_dtype_{dtype}();"]
    for axis, extent in enumerate(extents):
        if extent is None:
            lines.append(f"    if ({name}_size[{axis}] < 2) {{")
            lines.append(f"    if ({name}_size[{axis}] > 1048576) {{")
        else:
            lines.append(f"    if ({extent} != {name}_size[{axis}]) {{")
        lines.append(f"    if ({base} != {name}_stride[{axis}]) {{")
    return "\n".join(lines)


def call_spec(*types: str | None) -> str:
    """A recorded call of one packed tuple of arguments, as tensors or as values of these types."""
    plain = {"type": None, "context": None, "children_spec": []}
    children = [
        plain
        if name is None
        else {
            "type": f"neml2.types.{name}",
            "context": '[["data"], []]',
            "children_spec": [plain],
        }
        for name in types
    ]
    packed = {"type": "builtins.tuple", "context": "null", "children_spec": children}
    keywords = {"type": "builtins.dict", "context": "[]", "children_spec": []}
    arguments = {"type": "builtins.tuple", "context": "null", "children_spec": [packed]}
    tree = {
        "type": "builtins.tuple",
        "context": "null",
        "children_spec": [arguments, keywords],
    }
    return f'    in_spec_ = R"({json.dumps([1, tree])})";'


def test_free_and_fixed_extents_are_told_apart() -> None:
    text = source(argument(0, None, 6), argument(1), argument(2, 5, 3, 3))
    assert read_arguments(text) == (
        GraphArgument(dtype="float64", shape=(None, 6)),
        GraphArgument(dtype="float64", shape=()),
        GraphArgument(dtype="float64", shape=(5, 3, 3)),
    )


def test_types_of_the_recorded_call_are_read() -> None:
    spec = call_spec("SR2", None, "Scalar")
    text = source(argument(0, None, 6), argument(1), argument(2, None), call_spec=spec)
    arguments = read_arguments(text)
    assert arguments is not None
    assert [argument.type_name for argument in arguments] == ["SR2", None, "Scalar"]


@pytest.mark.parametrize(
    "spec",
    [
        call_spec("SR2"),
        '    in_spec_ = R"(not JSON)";',
        '    in_spec_ = R"([])";',
        '    in_spec_ = R"([1, {"children_spec": 3}])";',
    ],
)
def test_call_that_does_not_match_gives_no_types(spec: str) -> None:
    arguments = read_arguments(source(argument(0, None, 6), argument(1), call_spec=spec))
    assert arguments is not None
    assert [argument.type_name for argument in arguments] == [None, None]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "// generated\n",
        source("nothing about the argument"),
        source(argument(0, None, 6)).replace("inputs_info_[0]", "inputs_info_[1]"),
        # An axis that nothing is said of.
        source(argument(0, None, 6).replace("[0]", "[2]")),
    ],
)
def test_source_that_is_not_understood_tells_nothing(text: str) -> None:
    assert read_arguments(text) is None


def test_axis_with_a_stride_alone_may_vary() -> None:
    text = source(argument(0, None, 6).replace("arg0_1_size[0]", "arg0_1_extent"))
    assert read_arguments(text) == (GraphArgument(dtype="float64", shape=(None, 6)),)
