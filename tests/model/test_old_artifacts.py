"""Artifacts that earlier releases wrote run under the installed one, through their own stubs."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from artifact_cache import CompiledCase, compiled
from programs import assert_passes_in_silence, neml2_run
from twins import Twin, scaled_difference, sensitivity_scale

from neml2_aoti_plugin import Model

pytestmark = pytest.mark.slow

VARIANTS = {"schema7": 7, "schema12": 12}


@pytest.fixture(params=VARIANTS)
def old(request: pytest.FixtureRequest) -> CompiledCase:
    return compiled("rate_independent", variant=request.param)


def test_old_stub_reproduces_the_native_gold(old: CompiledCase) -> None:
    assert Model(old.metadata).manifest.schema_version == VARIANTS[old.variant]
    assert_passes_in_silence(neml2_run(old.stub, "regression"))


def test_old_bundle_runs_after_a_move(old: CompiledCase, tmp_path: Path) -> None:
    # The stub of schema 7 holds the absolute path of where it was compiled: nothing must be there.
    bundle = tmp_path / "moved here"
    shutil.copytree(old.folder, bundle)
    stub = bundle / old.stub.name
    stub.write_text(stub.read_text().replace(str(old.folder), "/nowhere"))
    assert_passes_in_silence(neml2_run(stub, "regression"))


def test_old_artifact_agrees_with_a_new_one(
    old: CompiledCase, twin_of: Callable[..., Twin]
) -> None:
    """Same model, same settings: values and derivatives differ by what a solve leaves open."""
    inputs = twin_of("rate_independent").inputs(4)
    ours, new = Model(old.metadata), Model(compiled("rate_independent").root)
    for model in (ours, new):
        model.set_solver_config(1e-12, 1e-12, 50, "BACKTRACKING", 1, 2.0, 1e-3)
    # Older releases also list the unknowns themselves, which they start from zero.
    inputs |= {
        name: torch.zeros(shape, dtype=torch.float64)
        for name, shape in zip(ours.input_names, ours.input_base_shapes, strict=True)
        if name not in inputs
    }
    found, found_blocks = ours.jacobian(inputs)
    expected, expected_blocks = new.jacobian(inputs)
    for name, value in expected.items():
        assert scaled_difference(found[name], value) < 1e-9, name
        for input, block in expected_blocks[name].items():
            scale = sensitivity_scale(value, inputs[input], block)
            error = (found_blocks[name][input] - block).abs().max().item()
            assert error < 1e-8 * scale, (name, input)
