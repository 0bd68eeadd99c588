from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest
from made_up_artifacts import package_members, write_package

from neml2_aoti_plugin.artifact.machine import Machine
from neml2_aoti_plugin.artifact.manifest import Leaf
from neml2_aoti_plugin.artifact.package import PackageFacts, check_package, inspect_package
from neml2_aoti_plugin.errors import ArtifactError

REPLACE = "The file is damaged or incomplete: copy the artifact again, or recompile the model."
MODEL = "graph/data/aotinductor/model"


def refusal(file: Path) -> str:
    with pytest.raises(ArtifactError) as caught:
        inspect_package(file)
    prefix = f"{file}: "
    message = str(caught.value)
    assert message.startswith(prefix)
    return message.removeprefix(prefix)


def test_facts_of_a_package_are_read(tmp_path: Path) -> None:
    file = write_package(
        tmp_path / "graph.pt2",
        package_members(
            AOTI_PLATFORM="linux", AOTI_MACHINE="x86_64", AOTI_CPU_ISA="AVX512 AVX512_VNNI"
        ),
    )
    facts = inspect_package(file)
    assert facts == PackageFacts(
        file=file,
        device="cpu",
        platform="linux",
        architecture="x86_64",
        cpu_isa="AVX512 AVX512_VNNI",
        operators=frozenset({"neml2::opaque_pow"}),
    )
    assert facts.needs_opaque_pow


def test_package_without_calls_needs_no_operator(tmp_path: Path) -> None:
    members = package_members()
    del members[f"{MODEL}/cddshesk.wrapper.json"]
    facts = inspect_package(write_package(tmp_path / "graph.pt2", members))
    assert facts.operators == frozenset()
    assert not facts.needs_opaque_pow


def test_calls_of_unexpected_form_are_passed_over(tmp_path: Path) -> None:
    members = package_members()
    calls = {"nodes": [3, {"node": None}, {"node": {"target": 1}}, {"node": {"target": "a::b"}}]}
    members[f"{MODEL}/cddshesk.wrapper.json"] = json.dumps(calls).encode()
    facts = inspect_package(write_package(tmp_path / "graph.pt2", members))
    assert facts.operators == frozenset({"a::b"})


def test_package_renamed_by_its_user_is_accepted(tmp_path: Path) -> None:
    inspect_package(write_package(tmp_path / "renamed.pt2", package_members("graph")))


@pytest.mark.parametrize("kept", [0, 1, 100, 700, -1])
def test_truncated_package_is_refused(tmp_path: Path, kept: int) -> None:
    file = write_package(tmp_path / "graph.pt2")
    file.write_bytes(file.read_bytes()[:kept])
    message = refusal(file)
    assert message == (
        "not readable as a zip archive (File is not a zip file); expected a compiled graph. "
        + REPLACE
    )


def test_flipped_byte_is_found_by_its_checksum(tmp_path: Path) -> None:
    file = write_package(tmp_path / "graph.pt2")
    content = bytearray(file.read_bytes())
    content[content.index(b"\x7fELF") + 100] ^= 1
    file.write_bytes(bytes(content))
    member = f"{MODEL}/cddshesk.wrapper.so"
    assert refusal(file) == (
        f"member '{member}' is not what was written (Bad CRC-32 for file '{member}'). {REPLACE}"
    )


def test_any_flipped_byte_is_refused_or_harmless(tmp_path: Path) -> None:
    """No damage may surface as another kind of error; outside the contents some is invisible."""
    file = write_package(tmp_path / "graph.pt2")
    sound = file.read_bytes()
    refused = 0
    for position in range(0, len(sound), 3):
        content = bytearray(sound)
        content[position] ^= 0xFF
        file.write_bytes(bytes(content))
        try:
            inspect_package(file)
        except ArtifactError:
            refused += 1
    assert refused > len(sound) / 6


@pytest.mark.parametrize(
    "member",
    ["../evil.so", "graph/../../evil.so", "/evil.so", "graph//evil", "graph\\evil", "evil"],
)
def test_member_that_leaves_its_folder_is_refused(tmp_path: Path, member: str) -> None:
    file = write_package(tmp_path / "graph.pt2", package_members() | {member: b""})
    assert refusal(file) == f"member {member!r} is no path below a top folder. {REPLACE}"


def test_two_top_folders_are_refused(tmp_path: Path) -> None:
    file = write_package(tmp_path / "graph.pt2", package_members() | {"other/byteorder": b""})
    assert refusal(file) == f"top folders are graph, other; expected exactly one. {REPLACE}"


def test_member_that_stands_twice_is_refused(tmp_path: Path) -> None:
    file = write_package(tmp_path / "graph.pt2")
    with (
        zipfile.ZipFile(file, "a") as archive,
        pytest.warns(UserWarning, match="Duplicate name"),
    ):
        archive.writestr("graph/byteorder", b"big")
    assert refusal(file) == f"member 'graph/byteorder' stands twice in the archive. {REPLACE}"


def test_compressed_package_is_refused(tmp_path: Path) -> None:
    file = write_package(tmp_path / "graph.pt2", package_members(), zipfile.ZIP_DEFLATED)
    assert refusal(file) == (
        f"member '{MODEL}/cddshesk.wrapper.cpp' is compressed or encrypted; "
        f"expected stored bytes, as neml2-compile writes them. {REPLACE}"
    )


@pytest.mark.parametrize("count", [0, 2])
def test_package_must_hold_one_library(tmp_path: Path, count: int) -> None:
    members = package_members()
    del members[f"{MODEL}/cddshesk.wrapper.so"]
    members |= {f"{MODEL}/{index}.so": b"" for index in range(count)}
    assert refusal(write_package(tmp_path / "graph.pt2", members)) == (
        f"{count} shared libraries in 'data/aotinductor/model'; expected one. {REPLACE}"
    )


def test_library_elsewhere_in_the_archive_is_none(tmp_path: Path) -> None:
    members = {
        name.replace("/model/", "/other/"): content for name, content in package_members().items()
    }
    assert refusal(write_package(tmp_path / "graph.pt2", members)).startswith("0 shared libraries")


def test_package_without_metadata_is_refused(tmp_path: Path) -> None:
    members = {
        name: content
        for name, content in package_members().items()
        if not name.endswith("_metadata.json")
    }
    assert refusal(write_package(tmp_path / "graph.pt2", members)) == (
        f"no *_metadata.json in 'data/aotinductor/model'; expected one. {REPLACE}"
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "is not valid JSON (Expecting property name enclosed in double quotes: "),
        (b"[]", "holds no object. "),
    ],
)
def test_package_with_broken_metadata_is_refused(
    tmp_path: Path, content: bytes, message: str
) -> None:
    member = f"{MODEL}/cddshesk.wrapper_metadata.json"
    file = write_package(tmp_path / "graph.pt2", package_members() | {member: content})
    assert refusal(file).startswith(f"'{member}' {message}")


LAPTOP = Machine(
    platform="linux", architecture="x86_64", cpu_flags=frozenset({"avx2", "fma", "f16c"})
)
UNKNOWN = Machine(platform="linux", architecture="x86_64", cpu_flags=None)
ROOT = Path("/artifact/model")
FILE = ROOT / "cpu" / "float64" / "graph.pt2"
REMEDY = "Recompile it here: neml2-compile INPUT.i --model model --device cpu --dtype float64"


def check(*, machine: Machine = LAPTOP, **changes: str | None) -> None:
    facts: dict[str, str | None] = {
        "device": "cpu",
        "platform": "linux",
        "architecture": "x86_64",
        "cpu_isa": "AVX2",
        **changes,
    }
    check_package(
        PackageFacts(file=FILE, operators=frozenset(), **facts),
        Leaf(folder=FILE.parent, device="cpu", dtype="float64"),
        machine,
        ROOT / "metadata.json",
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"cpu_isa": "AVX512 AVX512_VNNI"},
            "compiled for the CPU instruction set 'AVX512 AVX512_VNNI'; this machine has 'AVX2' "
            "and lacks avx512f, avx512dq, avx512vl, avx512bw, avx512_vnni.",
        ),
        ({"device": "cuda"}, "compiled for device 'cuda'; expected 'cpu', as of its folder."),
        ({"platform": "darwin"}, "compiled for platform 'darwin'; expected 'linux'."),
        ({"architecture": "arm64"}, "compiled for architecture 'arm64'; expected 'x86_64'."),
    ],
    ids=["isa", "device", "platform", "architecture"],
)
def test_package_for_another_machine_is_refused(changes: dict[str, str], message: str) -> None:
    with pytest.raises(ArtifactError) as caught:
        check(**changes)
    assert str(caught.value) == f"{FILE}: {message} {REMEDY}"


@pytest.mark.parametrize("isa", [None, "", "AVX2", "INVALID_VEC_ISA", "VSX", "SOMETHING_NEW"])
def test_package_that_the_machine_can_run_passes(isa: str | None) -> None:
    check(cpu_isa=isa)


def test_nothing_is_refused_where_the_flags_are_unknown() -> None:
    check(machine=UNKNOWN, cpu_isa="AVX512 AMX_TILE")


def test_package_that_says_nothing_passes() -> None:
    check(platform=None, architecture=None, cpu_isa=None)


def test_rocm_packages_may_call_their_device_cuda() -> None:
    facts = PackageFacts(
        file=FILE,
        operators=frozenset(),
        device="cuda",
        platform=None,
        architecture=None,
        cpu_isa=None,
    )
    leaf = Leaf(folder=FILE.parent, device="hip:1", dtype="float64")
    check_package(facts, leaf, LAPTOP, ROOT / "metadata.json")
