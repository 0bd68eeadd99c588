"""Names and types that a caller sees may differ from those inside the artifact."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from artifact_cache import CompiledCase
from edited_artifacts import Edit

from neml2_aoti_plugin import AOTIModel, InputError, Model


def rename(metadata: dict[str, Any]) -> None:
    """What ``neml2-compile --rename-input strain:eps --rename-output stress:sigma`` adds."""
    metadata["boundary_aliases"] = {
        "inputs": {"strain": "eps"},
        "outputs": {"stress": "sigma"},
        "parameters": {"model.E": "stiffness"},
    }


def test_renamed_variables_are_public_everywhere(
    edited: Edit, elasticity_promoted: CompiledCase
) -> None:
    plain = Model(elasticity_promoted.root)
    renamed = Model(edited(rename, elasticity_promoted))
    assert (renamed.input_names, renamed.output_names) == (["eps"], ["sigma"])
    assert list(renamed.named_parameters()) == list(renamed.parameter_base_shapes) == ["stiffness"]

    strain = torch.rand(3, 6, dtype=torch.float64)
    expected, expected_blocks = plain.jacobian({"strain": strain})
    outputs, blocks = renamed.jacobian({"eps": strain})
    assert torch.equal(outputs["sigma"], expected["stress"])
    assert torch.equal(blocks["sigma"]["eps"], expected_blocks["stress"]["strain"])
    _, derivatives = renamed.jvp({"eps": strain}, {"eps": strain})
    assert list(derivatives) == ["sigma"]

    renamed.set_parameter("stiffness", 2 * renamed.named_parameters()["stiffness"])
    torch.testing.assert_close(renamed.forward({"eps": strain})["sigma"], 2 * expected["stress"])


def test_renamed_input_is_missing_under_its_old_name(
    edited: Edit, elasticity_promoted: CompiledCase
) -> None:
    renamed = Model(edited(rename, elasticity_promoted))
    with pytest.raises(InputError, match="input 'eps' is missing; the model takes eps"):
        renamed.forward({"strain": torch.zeros(6, dtype=torch.float64)})


def test_typed_model_speaks_public_names(edited: Edit, elasticity_promoted: CompiledCase) -> None:
    model = AOTIModel(edited(rename, elasticity_promoted))
    assert (list(model.input_spec), list(model.output_spec)) == (["eps"], ["sigma"])


def test_rotations_of_older_releases_load_under_their_new_name(
    edited: Edit, crystal: CompiledCase
) -> None:
    def spell_as_before(metadata: dict[str, Any]) -> None:
        for variable in (*metadata["inputs"], *metadata["outputs"]):
            if variable["var_type"] == "MRP":
                variable["var_type"] = "Rot"

    model = AOTIModel(edited(spell_as_before, crystal))
    assert model.input_spec["orientation~1"].__name__ in ("MRP", "Rot")
