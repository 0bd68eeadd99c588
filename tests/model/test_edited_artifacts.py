"""Valid metadata that the installed compiler does not write, and what it may not lead to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from artifact_cache import CompiledCase
from edited_artifacts import Edit, Metadata
from twins import Twin

from neml2_aoti_plugin import Model, UnsupportedFeatureError


def test_listed_pair_without_a_graph_is_zero(edited: Edit, elasticity: CompiledCase) -> None:
    def drop_graph(metadata: Metadata) -> None:
        for key in ("jvp_package", "jacobian_pairs"):
            del metadata["segments"][0][key]

    model = Model(edited(drop_graph, elasticity))
    _, blocks = model.jacobian({"strain": torch.ones(2, 6, dtype=torch.float64)})
    assert torch.equal(blocks["stress"]["strain"], torch.zeros(2, 6, 6, dtype=torch.float64))


def test_jvp_sums_the_compiled_pairs_and_no_other(
    edited: Edit, twin_of: Callable[[str], Twin], chaboche: CompiledCase
) -> None:
    def keep_two(metadata: Metadata) -> None:
        metadata["derivatives"] = [["stress", "strain"], ["X1", "t"]]

    inputs = twin_of("chaboche").inputs(3)
    model = Model(edited(keep_two, chaboche))
    _, blocks = model.jacobian(inputs)
    tangents = {name: torch.ones_like(inputs[name]) for name in ("strain", "t")}
    _, derivatives = model.jvp(inputs, tangents)
    assert list(derivatives) == ["stress", "X1"]
    torch.testing.assert_close(derivatives["stress"], blocks["stress"]["strain"].sum(-1))
    torch.testing.assert_close(derivatives["X1"], blocks["X1"]["t"])


@pytest.fixture
def predicted_given(edited: Edit, chaboche: CompiledCase) -> Model:
    """The given ``stress~1`` replaced by an output of the predictor that returns it."""

    def rename(node: Any) -> None:
        for item in node if isinstance(node, list) else node.values():
            if isinstance(item, dict) and item.get("name") == "stress~1":
                item["name"] = "guess"
            if isinstance(item, (dict, list)):
                rename(item)

    def feed_back(metadata: Metadata) -> None:
        (segment,) = metadata["segments"]
        for key in ("givens", "given_group_infos"):
            rename(segment[key])
        for given in segment["givens"]:
            if given["name"] == "guess":
                given["role"], given["pair"] = "static", None
        for group in segment["given_group_infos"]:
            group["var_names"] = ["guess" if n == "stress~1" else n for n in group["var_names"]]
        for pair in segment["jacobian_pairs"]:
            pair["in_var"] = "guess" if pair["in_var"] == "stress~1" else pair["in_var"]
        for output in segment["predictor_outputs"]:
            output["name"] = "guess" if output["name"] == "stress" else output["name"]

    return Model(edited(feed_back, chaboche))


def test_given_may_come_from_the_predictor(
    predicted_given: Model, twin_of: Callable[[str], Twin]
) -> None:
    twin = twin_of("chaboche")
    inputs = twin.inputs(3)
    expected = twin.model.forward(inputs)
    for name, value in predicted_given.forward(inputs).items():
        torch.testing.assert_close(value, expected[name], rtol=1e-7, atol=1e-9)
    empty = predicted_given.forward(twin.inputs(0))
    assert {name: value.shape[0] for name, value in empty.items()} == dict.fromkeys(expected, 0)


def test_derivative_through_the_predictor_is_refused(
    predicted_given: Model, twin_of: Callable[[str], Twin]
) -> None:
    with pytest.raises(UnsupportedFeatureError, match="'guess' is computed by the predictor"):
        predicted_given.jacobian(twin_of("chaboche").inputs(3))
