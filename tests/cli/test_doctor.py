"""``neml2-aoti doctor`` where all is well, and where something is broken on purpose."""

from __future__ import annotations

from pathlib import Path

from said import Program, Said


def states(said: Said) -> dict[str, str]:
    return {each["subject"]: each["state"] for each in said.data["findings"]}


def remedy(said: Said, subject: str) -> str:
    (found,) = [each for each in said.data["findings"] if each["subject"] == subject]
    return str(found["remedy"])


def test_doctor_finds_this_environment_healthy(installed: Program) -> None:
    said = installed("doctor", "--json")

    assert said.code == 0, said.out
    assert said.data["healthy"] is True
    found = states(said)
    assert {name: found[name] for name in ("torch", "neml2", "runtime", "active")} == {
        "torch": "ok",
        "neml2": "ok",
        "runtime": "ok",
        "active": "ok",
    }
    assert "neml2's binary" in found


def test_doctor_shows_a_table_and_a_verdict(installed: Program) -> None:
    said = installed("doctor")

    assert (said.code, said.err) == (0, "")
    assert said.out.rstrip().endswith("ok  compiled models run here")


def test_doctor_of_a_plugin_switched_off_is_negative(installed: Program) -> None:
    said = installed("doctor", "--json", NEML2_AOTI_PLUGIN="0")

    assert said.code == 1
    assert states(said)["active"] == "bad"
    assert remedy(said, "active") == "unset NEML2_AOTI_PLUGIN"


def test_doctor_finds_a_compiler_that_is_not_there(installed: Program) -> None:
    said = installed("doctor", "--json", CXX="no-such-compiler")

    assert said.code == 0
    assert states(said)["compiler"] == "warning"
    assert "set CXX" in remedy(said, "compiler")


def test_doctor_finds_a_compiler_that_compiles_nothing(installed: Program) -> None:
    said = installed("doctor", "--json", CXX="false")

    assert states(said)["compiler"] == "warning"


def test_doctor_finds_a_cache_that_others_may_write_to(installed: Program, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    cache.chmod(0o777)
    said = installed("doctor", "--json", NEML2_AOTI_PLUGIN_CACHE=str(cache))

    assert states(said)["cache"] == "warning"
    assert remedy(said, "cache").startswith("set NEML2_AOTI_PLUGIN_CACHE")


def test_doctor_finds_a_binary_that_crashes(installed: Program, tmp_path: Path) -> None:
    """A package in front of the installed one, whose binary ends the process."""
    fake = tmp_path / "neml2" / "aoti"
    fake.mkdir(parents=True)
    (tmp_path / "neml2" / "__init__.py").write_text("")
    (fake / "__init__.py").write_text("")
    (fake / "_aoti.py").write_text(
        "import os, signal\n"
        "def newton_solve_eager(**settings): os.kill(os.getpid(), signal.SIGSEGV)\n"
    )
    said = installed("doctor", "--json", PYTHONPATH=str(tmp_path))

    (found,) = [each for each in said.data["findings"] if each["subject"] == "neml2's binary"]
    assert found["state"] == "warning"
    assert found["finding"] == "loads, but fails when given tensors: killed by SIGSEGV"


def test_doctor_finds_a_binary_that_misreads(installed: Program, tmp_path: Path) -> None:
    fake = tmp_path / "neml2" / "aoti"
    fake.mkdir(parents=True)
    (tmp_path / "neml2" / "__init__.py").write_text("")
    (fake / "__init__.py").write_text("")
    (fake / "_aoti.py").write_text(
        "def newton_solve_eager(u0, **settings): return [u0[0] * 0], True, 1\n"
    )
    said = installed("doctor", "--json", PYTHONPATH=str(tmp_path))

    (found,) = [each for each in said.data["findings"] if each["subject"] == "neml2's binary"]
    assert found["finding"].startswith("loads, but misreads tensors")
