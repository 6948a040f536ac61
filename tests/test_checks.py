"""The checks for masked gradients: quiet on an honest classifier, loud on defences made wrong."""

import inspect
import math
import re
from functools import partial

import pytest
import torch
from random_network import random_network, random_records
from torch import nn
from torch.nn import functional

from dnalib import checks
from dnalib.attacks import pgd
from dnalib.ensemble import Ensemble
from dnalib.independent import square

EPSILON = 25.0  # steps of a tenth are then 2.5 raw units
SAMPLES = 128


def made_up_records(number, *, seed):
    """Three rhythms, told apart by their frequency, in noise: (record, 1, time), whole numbers."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(3, (number,), generator=generator)
    cycles = torch.tensor([3.0, 7.0, 13.0])[labels].unsqueeze(1)  # (record, 1)
    phase = torch.rand(number, 1, generator=generator)
    wave = torch.sin(2 * math.pi * (cycles * torch.arange(SAMPLES) / SAMPLES + phase))
    noise = torch.randn(number, SAMPLES, generator=generator)
    return (50 * wave + 40 * noise).round().unsqueeze(1), labels


class Classifier(nn.Module):
    """One layer of filters, their mean activity, and a linear head."""

    def __init__(self):
        super().__init__()
        self.filters = nn.Conv1d(1, 32, 17, padding=8)
        self.head = nn.Linear(32, 3)

    def features(self, signals):
        return torch.relu(self.filters(signals / 100)).mean(2)  # (batch, 32)

    def forward(self, signals):
        return self.head(self.features(signals))


def trained(*, seed):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = Classifier()
    signals, labels = made_up_records(256, seed=1)
    optimiser = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(100):
        optimiser.zero_grad()
        functional.cross_entropy(model(signals), labels).backward()
        optimiser.step()
    return model.eval()


class Defence(nn.Module):
    """A classifier behind something that only hides its gradient; each below is one mistake."""

    def __init__(self, model):
        super().__init__()
        self.model = model
        self.eval()

    def defend(self, signals):
        return signals

    def features(self, signals):
        return self.model.features(self.defend(signals))

    def forward(self, signals):
        return self.model.head(self.features(signals))


class Quantised(Defence):
    """Samples rounded to multiples of 16: no gradient at all."""

    def defend(self, signals):
        return (signals / 16).round() * 16


class SmoothlyQuantised(Defence):
    """Samples drawn towards whole numbers: a gradient that points back between two of them."""

    def defend(self, signals):
        return signals + torch.sin(2 * math.pi * signals) / 2


class Saturated(Defence):
    """Logits so far apart that float32 rounds the gradient of the softmax to zero."""

    def forward(self, signals):
        return 60 * super().forward(signals)


class Detached(Defence):
    """The graph is cut between the features and the head."""

    def features(self, signals):
        return super().features(signals).detach()


@pytest.fixture(scope="module")
def classifiers():
    return trained(seed=0), trained(seed=1)


def run_all(model, *, source, steps=20):
    """Every check by name, with its own evaluation settings."""
    generator = torch.Generator().manual_seed(0)
    records = made_up_records(32, seed=2)
    options = {"attack": partial(pgd, padding="mask", steps=steps)}
    at = options | {"epsilon": EPSILON}
    random_search = partial(square, generator=generator)
    results = [
        checks.zero_gradients(model, *records),
        checks.iterative_beats_one_step(model, *records, **at),
        checks.success_rises_with_epsilon(model, *records, epsilons=(10, 20, 25, 50), **options),
        checks.large_epsilon_succeeds(model, *records, epsilon=200, **options),
        checks.doubling_steps_gains_little(model, *records, epsilon=EPSILON, steps=steps),
        checks.gradient_free_stays_below(model, *records, gradient_free=random_search, **at),
        checks.transferred_stays_below(model, *records, source=source, **at),
        checks.float64_agrees(model, *records),
        checks.planted_example_is_found(
            model, *records, features=model.features, generator=generator, **at
        ),
    ]
    return {result.name: result for result in results}


# Which check fires on which mistake; the table of book/checks.md says the same.
FIRES = {
    "quantised": {"zero-gradients", "large-epsilon", "gradient-free", "transferred", "planted"},
    "smoothly quantised": {"iterative", "rising", "gradient-free", "transferred", "planted"},
    "saturated": {"zero-gradients", "large-epsilon", "gradient-free", "transferred", "float64"},
    "detached": {"zero-gradients", "large-epsilon", "gradient-free", "transferred", "planted"},
    "three steps": {"iterative", "steps", "gradient-free"},
}
DEFENCES = {
    "quantised": Quantised,
    "smoothly quantised": SmoothlyQuantised,
    "saturated": Saturated,
    "detached": Detached,
}


@pytest.fixture(scope="module")
def honest_results(classifiers):
    honest, source = classifiers
    return run_all(honest, source=source)


def test_no_check_fires_on_an_honest_classifier(honest_results):
    fired = [result.sentence for result in honest_results.values() if not result.passed]
    assert not fired


@pytest.mark.slow
@pytest.mark.parametrize("mistake", FIRES)
def test_each_check_fires_on_the_mistakes_it_is_for(classifiers, mistake):
    honest, source = classifiers
    model = DEFENCES[mistake](honest) if mistake in DEFENCES else honest
    results = run_all(model, source=source, steps=3 if mistake == "three steps" else 20)
    fired = {name for name, result in results.items() if not result.passed}
    assert fired == FIRES[mistake], "\n".join(result.sentence for result in results.values())


def test_every_check_fires_somewhere(honest_results):
    assert set.union(*FIRES.values()) == set(honest_results)


def test_the_books_table_says_what_fires(root):
    page = (root / "book" / "checks.md").read_text()
    rows = re.findall(r"^\| \[.*\]\(check-([\w-]+)\) \| (.*) \|$", page, re.MULTILINE)
    shown = {
        mistake: {name for name, cells in rows if cells.split(" | ")[column] == "fires"}
        for column, mistake in enumerate(FIRES)
    }
    assert shown == FIRES


def test_an_honest_attack_succeeds_by_degrees(honest_results, classifiers):
    """Else "stays below" would hold because everything falls, or nothing."""
    assert honest_results["iterative"].measured > 0
    assert honest_results["gradient-free"].measured < 0
    records = made_up_records(32, seed=2)
    result = checks.large_epsilon_succeeds(classifiers[0], *records, epsilon=EPSILON)
    assert 0.5 < result.measured < 1


def test_every_check_has_its_section_in_the_book(honest_results, root):
    page = (root / "book" / "checks.md").read_text()
    anchors = set(re.findall(r"^\((check-[\w-]+)\)=$", page, re.MULTILINE))
    assert anchors == {f"check-{name}" for name in honest_results}
    named = set()
    for path in (root / "dnalib" / "checks").glob("*.py"):
        named |= set(re.findall(r"section `(check-[\w-]+)`", path.read_text()))
    assert named == anchors


def test_a_sentence_gives_what_was_measured_and_what_was_asked(classifiers):
    result = checks.zero_gradients(Quantised(classifiers[0]), *made_up_records(8, seed=2))
    assert (result.passed, result.measured, result.threshold) == (False, 1.0, 0.01)
    assert "100.0 %" in result.sentence and "1.0 %" in result.sentence


@pytest.mark.parametrize(
    ("change", "passed"), [({}, True), ({"threshold": 0.3}, False), ({"threshold": 1.1}, False)]
)
def test_thresholds_are_the_callers(classifiers, change, passed):
    honest, _ = classifiers
    records = made_up_records(16, seed=2)
    result = checks.iterative_beats_one_step(honest, *records, epsilon=EPSILON, **change)
    assert result.passed is passed and result.threshold == change.get("threshold", 0.0)


def test_an_undefined_gradient_is_no_gradient(classifiers):
    """A defence whose gradient is NaN where its answers are numbers: a root of zero."""

    class Root(Defence):
        def defend(self, signals):
            return signals + (0 * signals).square().sum(-1, keepdim=True).sqrt()

    model = Root(classifiers[0])
    signals, _ = made_up_records(8, seed=2)
    labels = model(signals).argmax(1)
    lost = checks.zero_gradients(model, signals, labels)
    assert (lost.passed, lost.measured) == (False, 1.0) and "undefined" in lost.sentence
    assert checks.float64_agrees(model, signals, labels).measured == 0


def test_gradients_are_counted_on_the_record_alone(classifiers):
    """A defence that cuts half of the samples off, of which the mask shows more or less."""

    class HalfCut(Defence):
        def defend(self, signals):
            cut = signals.clone()
            cut[:, :, :64] = 0
            return cut

    signals, labels = made_up_records(32, seed=2)
    model = HalfCut(classifiers[0])
    labels = model(signals).argmax(1)
    assert checks.zero_gradients(model, signals, labels).measured == 0.5
    seen = torch.zeros_like(signals, dtype=torch.bool)
    seen[:, :, 64:] = True
    assert checks.zero_gradients(model, signals, labels, valid=seen).measured == 0


def test_only_records_classified_right_count(classifiers):
    honest, _ = classifiers
    signals, labels = made_up_records(32, seed=2)
    labels = honest(signals).argmax(1)
    expected = checks.large_epsilon_succeeds(honest, signals[16:], labels[16:], epsilon=20)
    labels[:16] = (labels[:16] + 1) % 3
    assert checks.large_epsilon_succeeds(honest, signals, labels, epsilon=20) == expected
    assert 0 < expected.measured < 1


def test_random_changes_do_not_find_what_is_planted(classifiers):
    honest, _ = classifiers
    generator = torch.Generator().manual_seed(5)

    def random_signs(model, signals, labels, *, epsilon, valid):
        return epsilon * valid * torch.randn(signals.shape, generator=generator).sign()

    result = checks.planted_example_is_found(
        honest,
        *made_up_records(32, seed=2),
        epsilon=EPSILON,
        features=honest.features,
        generator=generator,
        attack=random_signs,
    )
    assert not result.passed and result.measured < 0.5


def test_what_is_planted_is_there_and_depends_on_the_generator_alone(classifiers):
    """An attack that knows the generator's points finds every planted example."""
    honest, _ = classifiers
    arguments = (honest, *made_up_records(8, seed=2))
    draws = torch.Generator().manual_seed(3)

    def recalled(model, signals, labels, *, epsilon, valid):
        points = 2 * torch.rand(4 + 2, *signals.shape[1:], generator=draws) - 1
        return epsilon * points[-1:].sign()

    def found(seed, attack):
        return checks.planted_example_is_found(
            *arguments,
            epsilon=EPSILON,
            features=honest.features,
            generator=torch.Generator().manual_seed(seed),
            attack=attack,
            neighbours=4,
        )

    assert found(3, recalled).measured == 1
    assert found(4, recalled).measured < 1


def test_neighbours_are_near_and_the_planted_point_is_at_the_full_distance(classifiers):
    honest, _ = classifiers
    signals, labels = made_up_records(1, seed=2)
    valid = torch.ones_like(signals, dtype=torch.bool)
    valid[:, :, :40] = False
    seen = []

    def features(points):
        seen.append(points - signals)
        return honest.features(points)

    checks.planted_example_is_found(
        honest,
        signals,
        honest(signals).argmax(1),
        epsilon=EPSILON,
        features=features,
        generator=torch.Generator().manual_seed(0),
        valid=valid,
        inner=0.25,
    )
    changes = seen[0]
    assert changes.shape == (15 + 2, 1, SAMPLES)
    assert not changes[:, :, :40].any() and not changes[15].any()
    nearby = changes[:15, :, 40:].abs().amax((1, 2))
    assert (nearby <= EPSILON / 4 + 1e-4).all() and (nearby > EPSILON / 5).all()
    assert torch.allclose(changes[16, :, 40:].abs(), torch.tensor(EPSILON))


def test_points_are_planted_by_a_generator_alone(classifiers):
    (honest, _), signals = classifiers, torch.zeros(1, 1, SAMPLES)
    with pytest.raises(ValueError, match="generator is of type int; accepted is a torch.Generator"):
        checks.planted_example_is_found(
            honest,
            signals,
            honest(signals).argmax(1),
            epsilon=EPSILON,
            features=honest.features,
            generator=0,
        )


def test_where_nothing_can_be_planted_nothing_is_found(classifiers):
    honest, _ = classifiers
    result = checks.planted_example_is_found(
        honest,
        *made_up_records(8, seed=2),
        epsilon=EPSILON,
        features=lambda signals: honest.features(torch.zeros_like(signals)),
        generator=torch.Generator().manual_seed(0),
    )
    assert not result.passed and result.measured == 0


def test_the_networks_of_the_book_pass_the_checks_of_the_gradient():
    network = random_network(width=0.05)
    signals = random_records([600, 400, 500, 600], length=600)
    labels = network(signals).argmax(1)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    assert checks.zero_gradients(network, signals, labels, valid=signals != 0).passed
    assert checks.float64_agrees(network, signals, labels, valid=signals != 0).passed
    assert checks.planted_example_is_found(
        network,
        signals,
        labels,
        epsilon=20,
        features=network.features,
        generator=torch.Generator().manual_seed(0),
    ).passed
    after = network.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert all(parameter.dtype == torch.float32 for parameter in network.parameters())


def test_refuses_what_cannot_be_checked(classifiers):
    honest, _ = classifiers
    signals, labels = made_up_records(8, seed=2)
    with pytest.raises(ValueError, match="training mode"):
        checks.zero_gradients(Classifier(), signals, labels)
    resumed = nn.Sequential(honest, nn.Dropout(0.5)).eval()
    resumed[1].train()
    with pytest.raises(ValueError, match="the model's part '1' is in training mode"):
        checks.zero_gradients(resumed, signals, labels)
    with pytest.raises(ValueError, match="no record right"):
        checks.float64_agrees(honest, signals, (honest(signals).argmax(1) + 1) % 3)
    for epsilons in ([10], [10, 10], [20, 10]):
        with pytest.raises(ValueError, match="two or more that rise"):
            checks.success_rises_with_epsilon(honest, signals, labels, epsilons=epsilons)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda signals, labels: (signals, labels[:, None]),
            r"labels have shape \(8, 1\) for 8 rec",
        ),
        (lambda signals, labels: (signals, labels[:1]), r"labels have shape \(1,\) for 8 records"),
        (lambda signals, labels: (signals, labels.int()), "labels have type torch.int32"),
        (lambda signals, labels: (signals, labels + 1), "labels reach 3 and the model has 3 class"),
        (lambda signals, labels: (signals.numpy(), labels), "signals is of type ndarray"),
        (lambda signals, labels: (signals.double(), labels), "signals have type torch.float64 and"),
        (lambda signals, labels: (signals / 0, labels), "signals hold a value that is not finite"),
    ],
)
def test_a_check_takes_what_an_attack_takes(classifiers, change, message):
    honest, _ = classifiers
    signals, _ = made_up_records(8, seed=2)
    labels = torch.tensor([0, 1, 2] * 3)[:8]
    with pytest.raises(ValueError, match=message):
        checks.zero_gradients(honest, *change(signals, labels))


def test_a_validity_of_another_shape_is_refused(classifiers):
    honest, _ = classifiers
    signals, labels = made_up_records(8, seed=2)
    with pytest.raises(ValueError, match=r"valid has shape \(8, 128\)"):
        checks.float64_agrees(honest, signals, labels, valid=torch.ones(8, 128, dtype=torch.bool))


def test_an_ensemble_is_not_taken_for_a_classifier(classifiers):
    """With as many records as classes its members' axis would pass for that of the records."""
    signals, labels = made_up_records(2, seed=2)
    ensemble = Ensemble(classifiers).eval()
    with pytest.raises(ValueError, match=r"logits of shape \(2, 2, 3\).*attacks.log_mean_softmax"):
        checks.large_epsilon_succeeds(ensemble, signals, labels, epsilon=EPSILON)


def test_records_in_several_batches_answer_as_in_one(
    classifiers: tuple[nn.Module, nn.Module], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, other = classifiers
    records = (model, *made_up_records(20, seed=2))

    def measured() -> list[float]:
        results = [
            checks.zero_gradients(*records),
            checks.float64_agrees(*records),
            checks.iterative_beats_one_step(*records, epsilon=EPSILON),
            checks.transferred_stays_below(*records, epsilon=EPSILON, source=other),
        ]
        return [result.measured for result in results]

    at_once, sizes = measured(), []

    def three(model: nn.Module, example: torch.Tensor, *, most: int) -> int:
        sizes.append(most)
        return 3

    monkeypatch.setattr(checks.common, "records_that_fit", three)
    assert measured() == at_once and len(sizes) == 7 and min(sizes) > 9


@pytest.mark.parametrize("name", sorted(set(checks.__all__) - {"Attack", "CheckResult"}))
def test_each_argument_of_a_check_is_documented_once(name: str) -> None:
    check = getattr(checks, name)
    documented = inspect.getdoc(check).split("Args:\n")[1].split("\n\n")[0]
    named = re.findall(r"^    (\w[\w, ]*):", documented, re.MULTILINE)
    assert sorted(", ".join(named).split(", ")) == sorted(inspect.signature(check).parameters)
