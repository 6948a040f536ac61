"""Climbing: sizes and directions of steps, APGD's schedule, and toys whose optimum is known."""

import pytest
import torch
from torch import nn
from toy_classifiers import Rippled, TwoClasses, random_numbers

from dnalib.attacks import pgd, sap
from dnalib.attacks.ascent import (
    Objective,
    apgd_checkpoints,
    ascend,
    ascend_adaptively,
    frozen_parameters,
)
from dnalib.attacks.losses import cross_entropy, margin


def objective_of(score, signals, *, loss=margin):
    """The ascent of a score: class 0 is true, so the margin is the score."""
    labels = torch.zeros(len(signals), dtype=torch.int64)
    return Objective(TwoClasses(score), signals, labels, loss, change=lambda theta: theta)


def test_frozen_parameters_come_back_also_from_nothing():
    model = nn.Linear(2, 2)
    with frozen_parameters(model):
        assert not any(parameter.requires_grad for parameter in model.parameters())
    assert all(parameter.requires_grad for parameter in model.parameters())


@pytest.mark.parametrize("adaptive", [False, True])
def test_the_climb_starts_where_it_is_told(adaptive):
    start = random_numbers(1, 1, 40).clamp(-1, 1)
    objective = objective_of(lambda x: x.sum((1, 2)), start)
    if adaptive:
        found = ascend_adaptively(objective, start=start, bound=1.0, steps=0)
    else:
        found = ascend(objective, start=start, bound=1.0, steps=0, step_size=1.0)
    assert torch.equal(found, start) and found is not start


def test_the_gradient_of_an_objective_is_each_records_own():
    signals = random_numbers(3, 2, 5)
    objective = objective_of(lambda x: (x**2).sum((1, 2)), signals)
    values, gradient = objective.gradient(torch.ones_like(signals))
    assert torch.allclose(values, ((signals + 1) ** 2).sum((1, 2)))
    assert torch.allclose(gradient, 2 * (signals + 1))
    assert not values.requires_grad and not gradient.requires_grad


class Elsewhere(nn.Module):
    """Logits that depend on a tensor of its own alone, which is no parameter."""

    def __init__(self):
        super().__init__()
        self.own = torch.ones(2, requires_grad=True)

    def forward(self, signals):
        return self.own.expand(len(signals), 2)


class Rounded(nn.Module):
    """Logits behind what PyTorch cannot differentiate."""

    def forward(self, signals):
        return torch.stack([signals.sum((1, 2)).detach(), signals.new_zeros(len(signals))], dim=1)


@pytest.mark.parametrize("model", [Elsewhere(), Rounded()])
@pytest.mark.parametrize("attack", [pgd, sap])
def test_a_model_that_ignores_its_input_is_refused(model, attack):
    signals, labels = torch.zeros(2, 1, 40), torch.zeros(2, dtype=torch.int64)
    with pytest.raises(ValueError, match="the logits do not depend on the signals, or not by"):
        attack(model.eval(), signals, labels, epsilon=1.0)


def test_a_loss_that_ignores_the_logits_is_refused():
    objective = objective_of(
        lambda x: x.sum((1, 2)),
        random_numbers(2, 1, 40),
        loss=lambda logits, labels: torch.ones(2),
    )
    with pytest.raises(ValueError, match="the loss does not depend on the signals, or not"):
        objective.gradient(objective.signals)


def test_momentum_keeps_on_through_a_ripple():
    # The slope is 1 up to x = 2.5, −0.1 between 2.5 and 4.5, and 1 again behind that.
    def score(x):
        x = x.sum((1, 2))
        return torch.where(x < 2.5, x, torch.where(x < 4.5, 2.5 - 0.1 * (x - 2.5), 2.3 + (x - 4.5)))

    signals = torch.zeros(1, 1, 1, dtype=torch.float64)
    options = {"start": signals, "bound": 20.0, "steps": 12, "step_size": 1.0}
    plain = ascend(objective_of(score, signals), **options)
    heavy = ascend(objective_of(score, signals), momentum=0.9, **options)
    assert 2 <= plain.item() <= 3  # to and fro before the ripple
    assert heavy.item() == 12  # twelve steps, none back


@pytest.mark.parametrize("shape", [(1, 1, 2), (1, 2, 1)])  # two samples, or two leads
def test_momentum_is_that_of_dong_et_al_by_hand(shape):
    # Divided by their sums the gradients are (0.8, 0.2) and (−1/3, −2/3), and half the first plus
    # the second is (0.07, −0.57). Undivided it would be (−0.96, −1.99).
    gradients = iter([torch.tensor([0.08, 0.02]), torch.tensor([-1.0, -2.0])])
    start = torch.zeros(shape)
    objective = objective_of(lambda x: (x.flatten(1) * next(gradients)).sum(1), start)
    found = ascend(objective, start=start, bound=9.0, steps=2, step_size=1.0, momentum=0.5)
    assert found.flatten().tolist() == [1 + 1, 1 - 1]


def test_checkpoints_are_those_of_the_paper():
    assert apgd_checkpoints(100) == [22, 41, 57, 70, 80, 87, 93, 99]
    assert apgd_checkpoints(50) == [11, 21, 29, 35, 40, 44, 47, 50]
    assert apgd_checkpoints(3) == [1, 2, 3]
    assert apgd_checkpoints(1) == [1] and apgd_checkpoints(0) == []


def test_apgd_reaches_the_corner_of_a_linear_score():
    weight = random_numbers(1, 30)
    signals = random_numbers(4, 1, 30, seed=1)
    objective = objective_of(lambda x: (x * weight).sum((1, 2)), signals)
    found = ascend_adaptively(objective, start=torch.zeros_like(signals), bound=0.5, steps=1)
    assert torch.equal(found, 0.5 * weight.sign().expand_as(signals))


def test_apgd_reaches_the_top_of_a_hill_and_constant_steps_do_not():
    top = 0.8 * (2 * torch.rand(5, 1, 20, generator=torch.Generator().manual_seed(3)) - 1).double()
    signals = torch.zeros_like(top)
    objective = objective_of(lambda x: -((x - top) ** 2).sum((1, 2)), signals)
    start = torch.zeros_like(top)
    adaptive = ascend_adaptively(objective, start=start, bound=1.0, steps=100)
    constant = ascend(objective, start=start, bound=1.0, steps=100, step_size=0.1)
    assert (adaptive - top).abs().max() < 0.05
    assert ((adaptive - top) ** 2).sum() < 0.5 * ((constant - top) ** 2).sum()


def test_apgd_halves_the_step_of_the_record_that_oscillates_and_of_no_other():
    visited = []

    def score(x):
        visited.append(x.detach()[:, 0, 0].tolist())
        x = x[:, 0, 0]
        # The first record oscillates about 0.05; the second has its best at the bound.
        return torch.stack([-((x[0] - 0.05) ** 2), 1e-3 * x[1]])

    signals = torch.zeros(2, 1, 1, dtype=torch.float64)
    ascend_adaptively(objective_of(score, signals), start=signals, bound=1.0, steps=100)
    first, second = torch.tensor(visited, dtype=torch.float64).T
    steps = first.diff().abs()
    assert steps[:20].max() > 0.5 and steps[-6:].max() < 0.2
    assert torch.equal(second[1:], torch.ones(100, dtype=torch.float64))


def test_apgd_keeps_the_step_as_long_as_every_step_raises_the_loss():
    # What counts is the steps since the last checkpoint, not all of them.
    visited = []

    class Rising:
        """Higher at each call, with a gradient that turns: θ swings as far as its step lets it."""

        def gradient(self, theta):
            visited.append(theta.item())
            return torch.tensor([float(len(visited))]), torch.full_like(theta, (-1) ** len(visited))

    ascend_adaptively(Rising(), start=torch.zeros(1, 1, 1), bound=1.0, steps=100)
    swings = torch.tensor(visited).diff().abs()
    assert swings[-10:].min() > 0.9 * swings[10:20].max() > 0.5


class Scripted:
    """An objective of one record whose losses are told beforehand and whose gradient is 1."""

    def __init__(self, losses):
        self.losses, self.seen = iter(losses), []

    def gradient(self, theta):
        self.seen.append(theta.item())
        return torch.tensor([next(self.losses)]), torch.ones_like(theta)


def test_apgd_goes_back_where_rising_steps_never_reach_the_best():
    # One fall, then every step rises, three quarters of all by far, below the best.
    below = [0.1 * step for step in range(11)]  # steps 1 … 11, up to the first checkpoint
    # From the best again: a step that falls short of it is no rise, though above the step before.
    # Seven of the ten up to the second checkpoint rise, so that the step is halved once more.
    again = [5.0, *(5.1 + 0.1 * step for step in range(7)), 5.6, 5.5]
    objective = Scripted([10.0, *below, *again, *[0.0] * 30])
    ascend_adaptively(objective, start=-torch.ones(1, 1, 1), bound=1.0, steps=50)
    assert objective.seen[0] == -1 and objective.seen[11] == 1
    assert objective.seen[12] < 0, "the best was the start"
    assert objective.seen[21] > 0.5 and objective.seen[22] < 0


def test_apgd_halves_no_step_twice_in_a_row_for_a_best_that_stays():
    # Halved at the first checkpoint, for a best that has not changed; in the second stretch it
    # does not change either, but nine of ten steps rise.
    first, second = [0.1 * step for step in range(11)], [5.0 + 0.1 * step for step in range(10)]
    objective = Scripted([10.0, *first, *second, *[0.0] * 30])
    ascend_adaptively(objective, start=-torch.ones(1, 1, 1), bound=1.0, steps=50)
    assert objective.seen[12] < 0, "back to the best after step 11"
    assert min(objective.seen[20:23]) > 0.5, "and on from where it was after step 21"


def test_apgd_goes_on_from_the_best_with_half_the_step():
    visited = []

    def score(x):
        visited.append(x.detach().flatten().item())
        return -((x[:, 0, 0] - 0.3) ** 2)

    start = torch.zeros(1, 1, 1, dtype=torch.float64)
    ascend_adaptively(objective_of(score, start), start=start, bound=1.0, steps=100)
    best = min(visited[:23], key=lambda x: abs(x - 0.3))  # until the first checkpoint
    assert abs(visited[22] - best) > 0.01
    way = 1.0 if best < 0.3 else -1.0
    target = min(max(best + 1.0 * way, -1.0), 1.0)  # the step was 2, and is 1
    expected = best + 0.75 * (target - best) + 0.25 * (best - visited[21])
    assert visited[23] == pytest.approx(min(max(expected, -1.0), 1.0))


@pytest.mark.parametrize("loss", [margin, cross_entropy])
@pytest.mark.parametrize("steps", [1, 7, 100])  # of 100 the last comes after all checkpoints
def test_apgd_returns_the_best_that_it_visits(loss, steps):
    model, signals = Rippled(), random_numbers(6, 1, 40, seed=4)
    labels = model(signals).argmax(1)
    visited = []

    def spy(logits, labels):
        values = loss(logits, labels)
        visited.append(values.detach())
        return values

    objective = Objective(model, signals, labels, spy, change=lambda theta: theta)
    found = ascend_adaptively(objective, start=torch.zeros_like(signals), bound=0.3, steps=steps)
    assert len(visited) == steps + 1
    best = torch.stack(visited).max(0).values
    assert torch.allclose(loss(model(signals + found), labels), best, atol=1e-12)
    assert found.abs().max() <= 0.3


def test_apgd_is_each_records_own():
    model, signals = Rippled(), random_numbers(6, 1, 40, seed=4)
    labels = model(signals).argmax(1)

    def climb(records):
        objective = Objective(model, signals[records], labels[records], margin, lambda theta: theta)
        start = torch.zeros_like(signals[records])
        return ascend_adaptively(objective, start=start, bound=0.3, steps=50)

    together = climb(slice(None))
    for record in range(6):
        alone = climb(slice(record, record + 1))
        assert torch.allclose(alone, together[record : record + 1], atol=1e-9)


def test_a_loss_that_is_no_number_has_no_gradient_though_nothing_leads_to_it() -> None:
    def lost(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        losses = cross_entropy(logits, labels)
        return torch.where(labels == 1, torch.nan, losses)  # PyTorch's gradient of that is 0

    signals = random_numbers(3, 1, 20)
    model = nn.Sequential(nn.Flatten(), nn.Linear(20, 2)).double().eval()
    objective = Objective(model, signals, torch.tensor([0, 1, 0]), lost, lambda theta: theta)
    values, gradient = objective.gradient(torch.zeros_like(signals))
    assert values.isnan().tolist() == [False, True, False]
    assert gradient.isnan().flatten(1).all(1).tolist() == [False, True, False]
    assert not gradient[[0, 2]].isnan().any()
