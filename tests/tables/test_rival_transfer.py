"""Which perturbations of which ensemble fool which, on a run whose logits are drawn at random."""

import numpy as np
import pytest
from made_up_run import stored

from dnalib import plots, tables
from dnalib.stages import ENSEMBLES
from dnalib.stages.rivals import RIVALS
from dnalib.tables import rival_transfer, rivalry


def test_transfer_within_an_ensemble_tells_itself_from_another(run):
    table = rival_transfer.fooled_within(run, "dverge", RIVALS["dverge"], attack="sap")
    assert len(table) == 9
    file = stored(run, "adaptive-dverge-50")
    labels = run.labels[run.positions]
    right = stored(run, "natural-dverge")["logits"][2][run.positions].argmax(1) == labels
    fooled = file["dverge1/sap"][2].argmax(1) != labels
    row = table[(table.crafted == "dverge1") & (table.evaluated == "dverge3")].iloc[0]
    assert row.value == fooled[right].mean() and row.records == right.sum()
    shown = rival_transfer.within(run)
    assert shown.index.tolist() == [*ENSEMBLES, *RIVALS]
    itself = table.crafted == table.evaluated
    assert shown.loc["dverge", "SAP, itself"] == tables.percent(table[itself].value.mean())
    assert shown.loc["dverge", "SAP, another"] == tables.percent(table[~itself].value.mean())
    assert shown.loc["wide", "PGD, another"] == "–"


def test_between_ensembles_each_pair_of_different_networks_counts_once(run):
    table = rival_transfer.between(run, attack="sap").set_index(["crafted", "evaluated"])
    assert len(table) == len([*ENSEMBLES, *RIVALS]) ** 2
    assert table.pairs["cor", "dverge"] == 9 and table.pairs["dec", "dec"] == 6
    # Both have the base model, which is no other network of itself.
    assert table.pairs["cor", "fdec"] == 8 and table.pairs["wide", "wide"] == 0
    assert np.isnan(table.value["wide", "wide"])
    file, models = stored(run, "transfer-rivals"), run.obtain("transfer-rivals").results["models"]
    labels = run.labels[run.positions]
    unperturbed = rivalry.natural_answers(run)
    shares = []
    for source in ENSEMBLES["dec"]:
        for place, name in enumerate(RIVALS["parallel"]):
            logits = unperturbed.logits["parallel"][place, run.positions]
            before = logits.argmax(1) == labels
            wrong = file[f"{source}/sap"][models.index(name)].argmax(1) != labels
            shares.append(wrong[before].mean())
    assert table.value["dec", "parallel"] == pytest.approx(np.mean(shares))
    assert table.value["dec", "parallel"] != table.value["parallel", "dec"]
    assert plots.transfer(table.reset_index()).axes
