"""Rivals that learnt no more than a constant, on a run whose logits are drawn at random."""

import numpy as np

from dnalib import metrics, tables
from dnalib.stages.rivals import RIVALS
from dnalib.tables import rival_floor, rivalry
from dnalib.tables.answers import Answers


def test_an_ensemble_that_answers_no_better_than_a_constant_is_named(run, monkeypatch):
    found = rivalry.natural_answers(run)
    floor = 100 * tables.majority_share(run)
    right = np.eye(4)[found.labels][None] * 9  # (1, record, class)
    for logits, named in ((right, []), (0 * right, ["parallel"])):
        made = {"dverge": right, metrics.CONTROL: 0 * right, "parallel": logits}
        answers = Answers(made, found.labels)
        monkeypatch.setattr(rivalry, "natural_answers", lambda run, answers=answers: answers)
        assert list(rival_floor.failed(run)) == named
        text = rival_floor.near_the_floor(run).markdown
        assert [line.split("*")[1] for line in text.splitlines() if line[:3] == "- *"] == named
        assert (f"the commonest class is right on {floor:.1f} %" in text) == bool(named)


def test_a_network_that_answers_no_better_than_a_constant_is_named(run, monkeypatch):
    labels = rivalry.natural_answers(run).labels
    right = np.eye(4)[labels] * 9  # (record, class)
    monkeypatch.setattr(rival_floor, "failed", lambda run: {"parallel": "30.0"})
    for members, named in (([right, right, right], []), ([right, 0 * right, right], ["dverge2"])):
        logits = {"dverge": np.stack(members), "adversarial": np.stack([right] * 3)}
        logits |= {"parallel": 0 * logits["dverge"], "wide": 0 * right[None]}
        logits["adversarial dec"] = logits["adversarial"]
        monkeypatch.setattr(
            rivalry, "natural_logits", lambda run, rival, logits=logits: logits[rival]
        )
        lines = rival_floor.near_the_floor(run).markdown.splitlines()
        lines = [line for line in lines if "do no better" in line]
        assert [line.split("*")[1] for line in lines] == named
        assert all("Of dverge's 3 networks" in line for line in lines)


def test_a_network_that_never_answers_some_class_is_named(run, monkeypatch):
    labels = rivalry.natural_answers(run).labels
    logits = {rival: np.stack([np.eye(4)[labels]] * len(names)) for rival, names in RIVALS.items()}
    logits["dverge"][2][labels == 3, 0] = 2
    monkeypatch.setattr(rivalry, "natural_logits", lambda run, rival: logits[rival])
    monkeypatch.setattr(rival_floor, "failed", lambda run: {})
    (*_, line) = rival_floor.near_the_floor(run).markdown.splitlines()
    said = f"Of the networks of dverge, *dverge3* never answers ~ on {len(labels)} unperturbed"
    assert said in line
