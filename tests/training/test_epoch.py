"""One epoch's row: what counts as right, and in which precision the curve is computed."""

import dataclasses

import pytest
import torch
from trainings import RECIPE, make_data, network, quiet

from dnalib.inference import infer
from dnalib.training import epoch, train


@pytest.mark.parametrize("wrong", [torch.nan, torch.inf, -torch.inf])
def test_no_answer_is_right_where_a_logit_is_not_finite(wrong):
    logits = torch.eye(4).repeat(2, 1, 1)  # (member, row, class)
    assert epoch.finite_hits(logits, torch.arange(4)) == 4
    logits[1, 2, 3] = wrong
    assert epoch.finite_hits(logits, torch.arange(4)).isnan()


@pytest.mark.parametrize(("precision", "rounded"), [("bf16-mixed", True), ("32-true", False)])
def test_the_curve_is_computed_in_the_training_s_precision(monkeypatch, precision, rounded):
    seen = []

    def spy(*arguments, **options):
        seen.append(torch.is_autocast_enabled("cpu"))
        return infer(*arguments, **options)

    monkeypatch.setattr(epoch, "infer", spy)
    recipe = dataclasses.replace(RECIPE, precision=precision, epochs=2)
    train(network, make_data(), recipe=recipe, report=quiet)
    assert seen == [rounded] * 2
