"""Every manifest that the reader lets through is one that the compiled core can be given."""

from __future__ import annotations

from pathlib import Path

from choices import SeededChoices
from documents import mutated
from made_up_artifacts import GOLDEN, golden
from manifests import prepare_folder, read

from neml2_aoti_plugin import _core, solve_log
from neml2_aoti_plugin.artifact.manifest import Manifest
from neml2_aoti_plugin.autograd import Differentiation
from neml2_aoti_plugin.core_bridge import describe_model
from neml2_aoti_plugin.errors import AOTIError

SEEDS = 40


def test_the_core_takes_or_refuses_what_was_read(tmp_path: Path) -> None:
    file = prepare_folder(tmp_path / "artifact")
    taken = 0
    for name in GOLDEN:
        for seed in range(SEEDS):
            manifest = read(mutated(golden(name), SeededChoices(seed)), file)
            if not isinstance(manifest, Manifest):
                continue
            try:
                _core.Model(describe_model(manifest), solve_log, None, Differentiation(manifest))
            except AOTIError:
                continue
            taken += 1
    assert taken > len(GOLDEN)
