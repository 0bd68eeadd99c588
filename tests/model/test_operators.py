"""``neml2::opaque_pow``, whoever defines it first: a fresh process for every order of imports."""

from __future__ import annotations

import json

import pytest
from programs import run_python

from neml2_aoti_plugin.artifact import read_artifact
from neml2_aoti_plugin.artifact.package import OPAQUE_POW

EVALUATE = """
import json, sys
import torch
from neml2_aoti_plugin import Model

def stress():
    model = Model(sys.argv[1])
    inputs = {
        name: torch.zeros(2, *base, dtype=torch.float64)
        for name, base in zip(model.input_names, model.input_base_shapes)
    }
    inputs["t"] += 10.0
    inputs["strain"] += 1e-3 * torch.tensor([8.0, -4.0, -4.0, 0.0, 0.0, 2.0]).double()
    return model.forward(inputs)["stress"].tolist()
"""

ORDERS = {
    "neml2 first": "import neml2\n" + EVALUATE + "print(json.dumps(stress()))",
    "torch and neml2 first": "import torch, neml2.types\n"
    + EVALUATE
    + "print(json.dumps(stress()))",
    "neml2 after the model ran": EVALUATE
    + "found = stress()\nimport neml2\nassert stress() == found\nprint(json.dumps(found))",
    "neml2 never asked for": EVALUATE + "print(json.dumps(stress()))",
    "no neml2 installed": "import sys\nsys.modules['neml2'] = None\n"
    + EVALUATE
    + "found = stress()\nassert not any(n.startswith('neml2.') for n in sys.modules)\n"
    + "assert stress() == found\nprint(json.dumps(found))",
}


@pytest.fixture(scope="module")
def stresses(chaboche) -> dict[str, list[list[float]]]:
    """What every order of imports gives."""
    found = {}
    for order, script in ORDERS.items():
        result = run_python(script, str(chaboche.root))
        assert result.returncode == 0, (order, result.stderr)
        found[order] = json.loads(result.stdout.splitlines()[-1])
    return found


def test_the_artifact_calls_the_operator(chaboche) -> None:
    assert OPAQUE_POW in read_artifact(chaboche.root, device="cpu").operators


@pytest.mark.parametrize("order", ORDERS)
def test_the_model_runs_in_every_order_of_imports(
    stresses: dict[str, list[list[float]]], order: str
) -> None:
    assert stresses[order] == stresses["neml2 first"]
    assert stresses[order][0][0] > 90.0  # MPa; beyond yield, where the power is taken
