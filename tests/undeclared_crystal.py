"""The crystal whose initial values, in place of settings, tell how many grains there are."""

from __future__ import annotations

from artifact_cache import INPUTS

_SHAPED_INITIAL_VALUES = """
  [no_strain]
    type = Python
    expr = 'SR2(torch.zeros(4, 6), sub_batch_ndim=1)'
  []
  [no_hardening]
    type = Python
    expr = 'Scalar(torch.zeros(4), sub_batch_ndim=1)'
  []
  [slip_directions]"""


def undeclared_crystal() -> str:
    """An input file."""
    text = (INPUTS / "crystal" / "model.i").read_text()
    text = text[: text.index("[Settings]")] + text[text.index("[Tensors]") :]
    text = text.replace("\n  [slip_directions]", _SHAPED_INITIAL_VALUES, 1)
    added = {"SR2": ("elastic_strain", "no_strain"), "Scalar": ("slip_hardening", "no_hardening")}
    options = "".join(
        f"    ic_{kind}_names = '{name}'\n    ic_{kind}_values = '{value}'\n"
        for kind, (name, value) in added.items()
    )
    return text.replace("    ic_MRP_names", options + "    ic_MRP_names", 1)
