"""How large the attacks are, on a run whose logits are drawn at random."""

from pathlib import Path

from made_up_run import MadeUpRun

from dnalib.stages import ENSEMBLES
from dnalib.stages.rivals import RIVALS
from dnalib.tables import knowledge, sizes


def test_sizes_have_a_row_for_every_attack(tmp_path: Path) -> None:
    run = MadeUpRun(tmp_path)
    of_one = sizes.sizes(run, ensemble="fdec")
    assert of_one.loc["APGD, confidently wrong", "median SNR (dB)"] == "–"
    assert of_one.loc["SAP, member 2", "median ‖δ‖₂ (µV)"] == "100"
    norms = sizes.norms(run)
    assert list(norms.columns) == list(ENSEMBLES) and set(norms.loc[knowledge.PAPER]) == {
        "8.0, 100"
    }
    assert norms.index.equals(sizes.signal_to_noise(run).index)
    faint = sizes.signal_to_noise(run)
    assert list(faint.columns) == list(ENSEMBLES) and set(faint.index) < set(
        knowledge.conditions(run, epsilon=50)
    )
    assert faint.loc["SAP, member 3", "dec"] == "20.0"
    assert faint.loc["APGD, confidently wrong", "fdec"] == "–"
    alone = sizes.signal_to_noise(run, ensembles={**ENSEMBLES, "wide": RIVALS["wide"]})
    assert alone.loc["PGD, member 2", "wide"] == "–" != alone.loc["PGD, member 1", "wide"]
