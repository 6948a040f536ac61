"""Which searches the checks of the gradient run, on classifiers whose gradient is known."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dnalib import attacks, checks, independent
from dnalib.stages import gradient_checks
from dnalib.stages.gradient_checks import MeanSoftmax, agreement_of_searches, planned_checks

EPSILON = 16.0
TIME = 40
OPTIONS = {"epsilon": EPSILON, "epsilons": [EPSILON / 2, EPSILON], "seed": 0}


class Linear(nn.Module):
    """Two classes told apart by a weighted sum of the samples, which are rounded to a quantum."""

    def __init__(self, *, quantum: float = 0.0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.weight = nn.Parameter(torch.randn(TIME, generator=generator) / 200)
        self.quantum = quantum

    def features(self, signals: Tensor) -> Tensor:
        signals = signals.flatten(1)
        return (signals / self.quantum).round() * self.quantum if self.quantum else signals

    def forward(self, signals: Tensor) -> Tensor:
        score = self.features(signals) @ self.weight
        return torch.stack([torch.zeros_like(score), score], dim=1)


def classifier(**options: float) -> MeanSoftmax:
    return MeanSoftmax([Linear(**options)]).eval()


def answered(number: int) -> tuple[Tensor, Tensor, Tensor]:
    """Signals of multiples of ε, every third one padded; the classifier's answers; validity."""
    generator = torch.Generator().manual_seed(1)
    valid = torch.ones(number, 1, TIME, dtype=torch.bool)
    valid[::3, :, :5] = False
    signals = EPSILON * (2 * torch.randn(number, 1, TIME, generator=generator)).round() * valid
    with torch.no_grad():
        return signals, classifier()(signals).argmax(1), valid


def run_checks(model: MeanSoftmax, *records: Tensor, **options: Any) -> list[checks.CheckResult]:
    planned = planned_checks(model, *records, **options)
    return [one for results in planned.values() for one in results()]


def found_by_name(model: MeanSoftmax, *records: Tensor, **options: Any) -> dict[str, Any]:
    found = run_checks(model, *records, **(OPTIONS | options))
    return {one.name: one for one in found}


def test_a_gradient_that_rounding_hides_is_given_away_by_what_does_not_follow_it() -> None:
    options = {"stranger": classifier(), "steps": 12}
    honest = found_by_name(classifier(), *answered(40), **options)
    assert all(one.passed for one in honest.values())
    masked = found_by_name(classifier(quantum=EPSILON), *answered(40), **options)
    for name in ("gradient-free", "transferred"):
        assert not masked[name].passed and masked[name].measured > 0.5


@pytest.mark.parametrize(("number", "steps", "proposals"), [(6, 5, 60), (40, 2, 30)])
def test_the_search_without_gradients_has_proposals_by_the_steps_and_by_the_records(
    monkeypatch: pytest.MonkeyPatch, number: int, steps: int, proposals: int
) -> None:
    calls = []

    def square(model: nn.Module, signals: Tensor, labels: Tensor, **options: Any) -> Tensor:
        calls.append(options)
        return torch.zeros_like(signals)

    monkeypatch.setattr(independent, "square", square)
    run_checks(
        classifier(), *answered(number), stranger=classifier(), **(OPTIONS | {"steps": steps})
    )
    assert {(call["steps"], call["epsilon"]) for call in calls} == {(proposals, EPSILON)}
    searched = torch.cat([call["valid"] for call in calls])
    assert searched.all() and len(searched) == min(number, 32) * 2 // 3


def test_few_records_are_checked_but_for_twice_the_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    signals, labels, valid = answered(40)
    seen = {}

    def spy_on(name: str) -> None:
        def check(model: nn.Module, *records: Tensor, **options: Any) -> checks.CheckResult:
            seen[name] = *records, options
            return checks.CheckResult(name, True, 0.0, 0.0, "")

        monkeypatch.setattr(checks, name, check)

    names = {
        "zero_gradients",
        "iterative_beats_one_step",
        "large_epsilon_succeeds",
        "doubling_steps_gains_little",
        "gradient_free_stays_below",
        "transferred_stays_below",
        "float64_agrees",
        "planted_example_is_found",
    }
    for name in names | {"success_rises_with_epsilon"}:
        spy_on(name)
    model, stranger = classifier(), classifier()
    options = OPTIONS | {"epsilons": [EPSILON], "steps": 3}
    run_checks(model, signals, labels, valid, stranger=stranger, **options)
    assert seen.keys() == names
    for name, (*records, options) in seen.items():
        asked = slice(40 if name == "doubling_steps_gains_little" else 32)
        whole = valid[asked].flatten(1).all(dim=1)
        chosen = whole if name == "gradient_free_stays_below" else torch.ones_like(whole)
        for one, every in zip((*records, options["valid"]), (signals, labels, valid), strict=True):
            assert torch.equal(one, every[asked][chosen])
    assert seen["transferred_stays_below"][2]["source"] is stranger
    assert seen["planted_example_is_found"][2]["features"] == model.features


def test_searches_agree_in_the_share_of_the_samples_that_end_alike(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    signals, labels, valid = answered(40)
    calls = []

    def ours(model: nn.Module, inputs: Tensor, labels: Tensor, **options: Any) -> Tensor:
        assert options.pop("padding") == "mask"
        calls.append(options)
        return inputs

    def theirs(model: nn.Module, inputs: Tensor, labels: Tensor, **options: Any) -> Tensor:
        calls.append(options)
        return inputs + EPSILON * labels[:, None, None]  # apart in the records of class 1

    monkeypatch.setattr(attacks, "pgd", ours)
    monkeypatch.setattr(independent, "pgd", theirs)
    batches = torch.arange(32).split(5)
    monkeypatch.setattr(gradient_checks, "fitting_batches", lambda model, signals: batches)
    found = agreement_of_searches(classifier(), signals, labels, valid, epsilon=EPSILON, steps=7)
    few = valid[:32]
    assert found == pytest.approx((few.sum((1, 2)) * (labels[:32] == 0)).sum() / few.sum())
    assert 0.2 < found < 0.8
    for call, batch in zip(calls, (one for one in batches for _ in range(2)), strict=True):
        assert torch.equal(call.pop("valid"), valid[batch])
        assert call == {"epsilon": EPSILON, "steps": 7}
