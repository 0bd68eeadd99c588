"""What is said of values that differ."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from neml2.types import R2, SR2, Scalar

from neml2_aoti_plugin.testing import golds
from neml2_aoti_plugin.testing.differences import compare, report

TYPES = {"stress": SR2, "strain_rate": R2, "damage": Scalar}


def rows(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()[1:] if line.startswith("output")]


def test_same_values_are_no_difference() -> None:
    values = {"output.1.stress": torch.rand(3, 6)}
    assert not compare(values, values, rtol=0.0, atol=0.0, types=TYPES)
    assert not compare(values | {"output.1.more": torch.rand(2)}, values, rtol=0, atol=0, types={})


def test_agrees_with_torch_on_what_is_close() -> None:
    generator = torch.Generator().manual_seed(3)
    for _ in range(50):
        expected = torch.randn(4, generator=generator, dtype=torch.float64)
        noise = torch.randn(4, generator=generator, dtype=torch.float64)
        found = expected * (1 + 1e-3 * noise)
        differs = bool(compare({"x": found}, {"x": expected}, rtol=1e-3, atol=1e-4, types={}))
        assert differs != torch.allclose(found, expected, rtol=1e-3, atol=1e-4)


def test_worst_entry_comes_first_with_step_row_and_component() -> None:
    expected = {
        "output.1.stress": torch.ones(2, 3, 6, dtype=torch.float64),
        "output.2.stress": torch.ones(2, 3, 6, dtype=torch.float64),
        "output.2.strain_rate": torch.ones(2, 3, 3, dtype=torch.float64),
        "output.2.damage": torch.tensor(1.0, dtype=torch.float64),
    }
    found = {key: value.clone() for key, value in expected.items()}
    found["output.1.stress"][1, 2, 3] += 0.1
    found["output.2.stress"][0, 1, 5] -= 0.5
    found["output.2.strain_rate"][1, 0, 1] += 0.3
    found["output.2.damage"] += 0.2
    text = report(compare(found, expected, rtol=1e-3, atol=0.0, types=TYPES))
    assert rows(text) == [
        ["output.stress", "2", "0,1", "xy", "0.5", "1", "5.00e-01", "1.00e-03"],
        ["output.strain_rate", "2", "1", "xy", "1.3", "1", "3.00e-01", "1.00e-03"],
        ["output.damage", "2", "1.2", "1", "2.00e-01", "1.00e-03"],
        ["output.stress", "1", "1,2", "yz", "1.1", "1", "1.00e-01", "1.00e-03"],
    ]
    assert text.splitlines()[-1] == (
        "4 of 91 numbers differ: 2 of output.stress, 1 of output.strain_rate, 1 of output.damage"
    )


def test_nan_is_worse_than_any_difference() -> None:
    expected = {"output.1.stress": torch.ones(1, 6)}
    found = {"output.1.stress": torch.tensor([[9.0, 1.0, torch.nan, 1.0, 1.0, 1.0]])}
    (first, second) = rows(report(compare(found, expected, rtol=0.1, atol=0.0, types=TYPES)))
    assert first[3:5] == ["zz", "nan"]
    assert second[3:5] == ["xx", "9"]


def test_few_entries_of_many_are_shown() -> None:
    expected = {f"output.{step}.damage": torch.zeros(100) for step in range(50)}
    found = {key: value + 1.0 for key, value in expected.items()}
    text = report(compare(found, expected, rtol=0.0, atol=1e-3, types=TYPES))
    assert len(rows(text)) == 3
    assert "5000 of 5000 numbers differ" in text


def test_what_cannot_be_compared_is_said() -> None:
    comparison = compare(
        {"a": torch.zeros(2), "b": torch.zeros(2)},
        {"a": torch.zeros(3), "b": torch.zeros(2, dtype=torch.float64), "c": torch.zeros(1)},
        rtol=0.0,
        atol=0.0,
        types={},
    )
    assert report(comparison).splitlines() == [
        "a: shape (2,), expected (3,)",
        "b: dtype torch.float32, expected torch.float64",
        "c: not computed, but expected",
    ]


# --- golds


def test_gold_is_written_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gold = tmp_path / "gold" / "result.pt"
    values = {"output.1.stress": torch.rand(2, 6)}
    assert golds.update(gold, values) == "new"
    assert golds.update(gold, values) is None
    before = gold.read_bytes()

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", interrupted)
        with pytest.raises(KeyboardInterrupt):
            golds.update(gold, {"output.1.stress": torch.rand(2, 6)})
    assert gold.read_bytes() == before
    assert [path.name for path in gold.parent.iterdir()] == ["result.pt"]
    assert golds.update(gold, {"output.1.stress": torch.rand(2, 6)}) == "changed"


def test_gold_may_share_memory_with_nothing_else(tmp_path: Path) -> None:
    history = torch.rand(10_000)
    golds.update(tmp_path / "gold.pt", {"output.1.damage": history[:1]})
    assert (tmp_path / "gold.pt").stat().st_size < 5_000


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")
def test_gold_of_version_2_is_read(tmp_path: Path) -> None:
    module = torch.nn.Module()
    step = torch.nn.Module()
    step.register_buffer("stress", torch.ones(6))
    module.output = torch.nn.Module()
    module.output.add_module("1", step)
    torch.jit.script(module).save(tmp_path / "gold.pt")
    assert golds.read(tmp_path / "gold.pt").keys() == {"output.1.stress"}
