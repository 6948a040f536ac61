"""Steps of several trainings, timed in turns."""

import dataclasses

import pytest
import torch
from trainings import RECIPE, make_data, network

from dnalib.training import Training, costs
from dnalib.training.joint import JointNetwork


@pytest.fixture(scope="module")
def trainings():
    parallel = dataclasses.replace(RECIPE, method="parallel", batch_size=120)
    return {
        "alone": Training(network, make_data(earlier_models=1), RECIPE),
        "parallel": Training(lambda: JointNetwork([network(), network()]), make_data(), parallel),
    }


def test_steps_are_timed_in_turns_after_one_that_warms_up(trainings, monkeypatch):
    taken = []
    step = costs.train_step

    def spy(fabric, state, data, records, *, recipe, projections):
        taken.append((recipe.method, state.step, len(records), projections is not None))
        return step(fabric, state, data, records, recipe=recipe, projections=projections)

    monkeypatch.setattr(costs, "train_step", spy)
    found = costs.training_costs(trainings, rounds=2)
    in_turns = [("alone", 0, 60, True), ("parallel", 0, 120, False)]
    again = [("alone", 1, 60, True), ("parallel", 0, 120, False)]
    assert taken == in_turns + again + in_turns
    assert found["alone"].steps == 2 * RECIPE.epochs and found["parallel"].steps == RECIPE.epochs
    assert all(cost.seconds > 0 and cost.processor_seconds > 0 for cost in found.values())


def test_a_training_of_fewer_steps_than_are_timed_is_timed(trainings):
    short = dataclasses.replace(trainings["alone"].recipe, epochs=1, batch_size=120)
    (cost,) = costs.training_costs(
        {"short": dataclasses.replace(trainings["alone"], recipe=short)}, rounds=4
    ).values()
    assert cost.steps == 1 and cost.seconds > 0


def test_the_median_of_the_rounds_counts(trainings, monkeypatch):
    times = iter([(9.0, 9.0), (1.0, 4.0), (5.0, 2.0), (2.0, 3.0)])  # the first warms up
    monkeypatch.setattr(costs.Stepper, "timed_step", lambda self, number: next(times))
    found = costs.training_costs({"alone": trainings["alone"]}, rounds=3)
    assert (found["alone"].seconds, found["alone"].processor_seconds) == (2.0, 3.0)


def test_random_numbers_are_left_as_they_were(trainings):
    torch.manual_seed(11)
    expected = torch.rand(3)
    torch.manual_seed(11)
    costs.training_costs(trainings, rounds=1)
    assert torch.equal(torch.rand(3), expected)


def test_trainings_of_the_same_records_share_their_signals(monkeypatch):
    given = [make_data(), make_data(earlier_models=1), make_data(count=60)]
    tests = given[0].test_signals
    changed = dataclasses.replace(tests, samples=tests.samples + 1)
    given.append(dataclasses.replace(given[0], test_signals=changed))
    held = {}

    def spy(self, number):
        held[id(self)] = self.data
        return 1.0, 1.0

    monkeypatch.setattr(costs.Stepper, "timed_step", spy)
    costs.training_costs(
        {str(place): Training(network, one, RECIPE) for place, one in enumerate(given)}, rounds=1
    )
    one, same, other, changed = held.values()
    assert one.signals.samples is same.signals.samples is changed.signals.samples
    assert one.test_signals.samples is same.test_signals.samples is other.test_signals.samples
    assert changed.test_signals.samples is not one.test_signals.samples
    assert len(other.signals) == 60 and len(same.earlier) == 1
    for found, expected in zip(held.values(), given, strict=True):
        assert found.digests() == expected.digests()


def test_no_round_is_refused(trainings):
    with pytest.raises(ValueError, match="rounds is 0; accepted are whole numbers from 1"):
        costs.training_costs(trainings, rounds=0)
