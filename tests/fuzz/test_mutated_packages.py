"""Packages mutated in every way that the fuzzer knows are inspected or refused."""

from __future__ import annotations

import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from archives import at_random, members_of, systematic
from artifact_cache import compiled
from choices import SeededChoices
from made_up_artifacts import write_package

from neml2_aoti_plugin.artifact.package import inspect_package
from neml2_aoti_plugin.errors import ArtifactError

PROJECT = Path(__file__).resolve().parent.parent.parent
AT_RANDOM = 200


def is_accepted(content: bytes, file: Path) -> bool:
    """Whether the package is; any error but an ArtifactError that names the file is a failure."""
    file.write_bytes(content)
    try:
        inspect_package(file)
    except ArtifactError as error:
        refusal = error
    else:
        return True
    assert str(refusal).startswith(f"{file}: ")
    return False


def libraries(content: bytes) -> list[bytes]:
    return [member for name, member in members_of(content).items() if name.endswith(".so")]


@pytest.fixture(params=["made_up", "compiled"])
def sound(request: pytest.FixtureRequest, tmp_path: Path) -> bytes:
    """A small package, of which most bytes are the archive's, and one of the compiler."""
    if request.param == "made_up":
        return write_package(tmp_path / "sound.pt2").read_bytes()
    return min(compiled("elasticity").root.rglob("*.pt2")).read_bytes()


def test_every_systematic_mutation_is_refused_or_harmless(sound: bytes, tmp_path: Path) -> None:
    file = tmp_path / "graph.pt2"
    accepted = {what for what, content in systematic(sound) if is_accepted(content, file)}
    assert not any(what.startswith("cut") for what in accepted)
    # A link is unpacked as the file of its text; what is not looked at may be missing or another.
    structural = {what for what in accepted if "%" not in what}
    assert structural <= {"symbolic_link", "member_left_out", "content_replaced"}


def refusal_of(kind: str, file: Path) -> str:
    """Of a sound package that was changed in this way."""
    write_package(file)
    file.write_bytes(dict(systematic(file.read_bytes()))[kind])
    with pytest.raises(ArtifactError) as caught:
        inspect_package(file)
    return str(caught.value)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("bytes_before", "its directory is not where it says"),
        ("bytes_after", "bytes follow its directory"),
        ("comment", "bytes follow its directory"),
        ("two_archives", "its directory is not where it says"),
        ("directory_of_64_bits", "its 64-bit directory is not where it says"),
        ("further_disk", "it names further disks"),
        ("wrong_count", "its directory counts 6 members and lists 7"),
    ],
)
def test_archive_that_readers_understand_differently_is_refused(
    kind: str, said: str, tmp_path: Path
) -> None:
    file = tmp_path / "graph.pt2"
    assert refusal_of(kind, file) == (
        f"{file}: the archive can be read in more than one way: {said}. The file is damaged or "
        "incomplete: copy the artifact again, or recompile the model."
    )


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("library_twice_but_for_case", "are one to some readers"),
        ("overlapping_members", "so some share bytes"),
        ("name_that_is_no_text", "not readable as a zip archive ('utf-8' codec can't decode"),
    ],
)
def test_members_that_readers_understand_differently_are_refused(
    kind: str, said: str, tmp_path: Path
) -> None:
    assert said in refusal_of(kind, tmp_path / "graph.pt2")


def test_a_64_bit_directory_that_all_readers_find_is_read(tmp_path: Path) -> None:
    """As torch writes it into archives of its own."""
    sound = write_package(tmp_path / "graph.pt2").read_bytes()
    front, end = sound[:-22], sound[-22:]
    count, length, offset = struct.unpack("<H2L", end[10:20])
    wide = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, length, offset)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, len(front), 1)
    assert is_accepted(front + wide + locator + end, tmp_path / "wide.pt2")


def test_random_mutations_are_refused_or_harmless(sound: bytes, tmp_path: Path) -> None:
    file = tmp_path / "graph.pt2"
    replaced = ("content_replaced", "member_left_out")
    accepted = 0
    for seed in range(AT_RANDOM):
        what, content = at_random(sound, SeededChoices(seed))
        if is_accepted(content, file):
            accepted += 1
            assert what in replaced or libraries(content) == libraries(sound)
    assert 0 < accepted < AT_RANDOM / 2


@pytest.mark.slow
def test_the_fuzzer_of_packages_runs(compiled_case: Callable[..., object]) -> None:
    program = PROJECT / "fuzz" / "packages.py"
    root = compiled("elasticity").root
    command = [sys.executable, str(program), str(root), "--count", "60", "--first", "170"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("60 packages in ")
    assert ", 0 crashes, 0 hangs\n" in done.stdout
