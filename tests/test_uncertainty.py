"""Entropies against hand-made cases, and what their definitions imply."""

import numpy as np
import pytest
from made_up_answers import made_up

from dnalib import metrics, uncertainty


def test_mutual_information_of_agreement_and_of_disagreement():
    same = np.repeat(metrics.softmax(np.random.default_rng(0).standard_normal((1, 9, 4))), 3, 0)
    assert uncertainty.mutual_information(same) == pytest.approx(np.zeros(9), abs=1e-12)
    each_its_own = np.eye(4)[:3, None, :]  # (member, one record, class)
    assert uncertainty.mutual_information(each_its_own) == pytest.approx([np.log(3)])
    assert uncertainty.predictive_entropy(each_its_own) == pytest.approx([np.log(3)])
    assert uncertainty.predictive_entropy(np.full((2, 1, 4), 0.25)) == pytest.approx([np.log(4)])


def test_mutual_information_is_the_mean_divergence_from_the_mean():
    probabilities = metrics.softmax(made_up(3)[0])
    mean = probabilities.mean(axis=0)
    divergence = (probabilities * np.log(probabilities / mean)).sum(axis=-1).mean(axis=0)
    information = uncertainty.mutual_information(probabilities)
    assert information == pytest.approx(divergence)
    assert information.min() >= 0 and information.max() <= np.log(3)


@pytest.mark.parametrize(
    "measure", [uncertainty.mutual_information, uncertainty.predictive_entropy]
)
@pytest.mark.parametrize(
    ("number", "message"),
    [
        (np.nan, "probabilities: 1 values are NaN"),
        (np.inf, "probabilities reach from 0.25 to inf"),
        (0.252, r"1 rows of classes do not sum to 1, the first to 1.002; accepted .* within 0.001"),
        (0.248, "1 rows of classes do not sum to 1, the first to 0.998"),
    ],
)
def test_what_is_no_distribution_has_no_entropy(measure, number, message):
    probabilities = np.full((2, 5, 4), 0.25)
    probabilities[1, 2, 0] = number
    with pytest.raises(ValueError, match=message):
        measure(probabilities)


def test_distributions_rounded_to_half_precision_are_taken():
    probabilities = metrics.softmax(made_up(3)[0])
    exact = uncertainty.mutual_information(probabilities)
    rounded = uncertainty.mutual_information(probabilities.astype(np.float16))
    assert rounded == pytest.approx(exact, abs=2e-3)
    with pytest.raises(ValueError, match=r"rows .* the first to 3.6;"):
        uncertainty.mutual_information(np.full((2, 3, 4), 0.9))


@pytest.mark.parametrize(
    "measure", [uncertainty.mutual_information, uncertainty.predictive_entropy]
)
def test_logits_are_not_taken_for_probabilities(measure) -> None:
    logits = made_up(3)[0]
    with pytest.raises(
        ValueError, match=r"probabilities reach from -\d.* accepted are .* \[0, 1\]"
    ):
        measure(logits)
    rounded = np.array([[[1 + 5e-7, -5e-7]], [[0.5, 0.5]]])  # as float32 may leave them
    assert measure(rounded) == pytest.approx(measure(rounded.clip(0, 1)), abs=1e-6)
