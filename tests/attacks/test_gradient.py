"""The attacks: where a perturbation may go, what it does, and closed forms on linear models."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional
from toy_classifiers import Rippled, random_numbers

from dnalib.attacks import (
    from_millivolts,
    margin,
    pgd,
    record_generators,
    sap,
    smooth,
    smoothing_kernel,
)
from dnalib.model import Network

EPSILON = 50.0
ATTACKS = {"pgd": pgd, "sap": sap}


@pytest.fixture(params=sorted(ATTACKS))
def attack(request):
    return ATTACKS[request.param]


def small_network(seed=0):
    """A narrow network in float64, in which a batch's rounding turns no sign."""
    torch.manual_seed(seed)
    network = Network(width=0.02).double()
    with torch.no_grad():
        network.conv1.weight.div_(50)
        for name, tensor in network.state_dict().items():
            if "bn" in name and tensor.is_floating_point() and "mean" not in name:
                tensor.copy_(0.5 + torch.rand_like(tensor))
    return network.eval()


@pytest.fixture
def padded():
    """Signals (record, 1, time) with padding on both sides of two of them, validity and labels."""
    signals = 200 * random_numbers(4, 1, 300)
    valid = torch.ones(4, 1, 300, dtype=torch.bool)
    valid[1, :, :60] = valid[1, :, -61:] = False
    valid[3, :, :130] = valid[3, :, -130:] = False
    return signals * valid, valid, torch.tensor([0, 1, 2, 3])


class Linear(nn.Module):
    """Two classes, told apart by one weighted sum over leads and samples."""

    def __init__(self, weight):
        super().__init__()
        self.weight = nn.Parameter(weight)
        self.eval()

    def forward(self, signals):
        score = (signals * self.weight).sum((1, 2))
        return torch.stack([torch.zeros_like(score), score], dim=1)


@pytest.mark.parametrize("padding", ["strip", "mask"])
def test_a_perturbation_stays_in_the_ball_and_off_the_padding(attack, padded, padding):
    signals, valid, labels = padded
    before = signals.clone()
    delta = attack(
        small_network(), signals, labels, epsilon=EPSILON, steps=5, valid=valid, padding=padding
    )
    assert delta.shape == signals.shape and delta.dtype == signals.dtype
    assert not delta.requires_grad
    assert 0 < delta.abs().max() <= EPSILON
    assert not delta[~valid].any()
    assert (delta[valid] != 0).double().mean() > 0.9
    assert torch.equal(signals, before)


def test_kept_padding_is_the_state_before_stripping(attack, padded):
    signals, valid, labels = padded
    arguments = (small_network(), signals, labels)
    kept = attack(*arguments, epsilon=EPSILON, steps=4, valid=valid, padding="keep")
    stripped = attack(*arguments, epsilon=EPSILON, steps=4, valid=valid)
    assert kept[~valid].any()
    assert torch.equal(kept * valid, stripped)
    assert torch.equal(kept, attack(*arguments, epsilon=EPSILON, steps=4))


@pytest.mark.parametrize("leads", [1, 3])
def test_pgd_on_a_linear_model_is_the_sign_of_its_weights(leads):
    weight = random_numbers(leads, 40)
    signals, labels = random_numbers(3, leads, 40, seed=1), torch.tensor([0, 1, 0])
    delta = pgd(Linear(weight), signals, labels, epsilon=7)
    away = torch.tensor([1, -1, 1]).view(3, 1, 1)  # up the score from class 0, down from class 1
    assert torch.equal(delta, 7 * away * weight.sign().expand(3, -1, -1))


def test_each_step_has_its_size():
    weight = random_numbers(1, 40)
    arguments = (Linear(weight), random_numbers(1, 1, 40, seed=1), torch.tensor([0]))
    for steps in (0, 1, 3):
        delta = pgd(*arguments, epsilon=20, steps=steps)
        assert torch.allclose(delta, 2.0 * steps * weight.sign())  # a tenth of ε when not named
        delta = pgd(*arguments, epsilon=20, steps=steps, step_size=5)
        assert torch.allclose(delta, 5.0 * steps * weight.sign())


@pytest.mark.parametrize("leads", [1, 3])
def test_sap_on_a_linear_model_is_smooth(leads):
    weight = random_numbers(leads, 90)
    signals, labels = random_numbers(2, leads, 90, seed=1), torch.tensor([0, 1])
    delta = sap(Linear(weight), signals, labels, epsilon=7, start_steps=0)
    kernel = smoothing_kernel()
    # The gradient in θ is the weights, smoothed (the kernel is symmetric).
    theta = 7 * smooth(weight[None], kernel).sign()
    expected = smooth(theta, kernel) * torch.tensor([1, -1]).view(2, 1, 1)
    assert torch.allclose(delta, expected)


def test_smoothing_is_the_mean_of_25_convolutions():
    theta = random_numbers(2, 3, 120)
    smoothed = []
    for size in (5, 7, 11, 15, 19):
        for sigma in (1, 3, 5, 7, 10):
            kernel = torch.exp(-((torch.arange(size) - size // 2) ** 2) / (2 * sigma**2)).double()
            kernel = (kernel / kernel.sum()).repeat(3, 1, 1)
            smoothed.append(functional.conv1d(theta, kernel, padding=size // 2, groups=3))
    expected = torch.stack(smoothed).mean(0)
    assert len(smoothed) == 25
    assert torch.allclose(smooth(theta, smoothing_kernel()), expected, atol=1e-6)
    signals, labels = torch.zeros(2, 3, 120, dtype=torch.float64), torch.tensor([0, 1])
    model = Linear(random_numbers(3, 120))
    delta = sap(model, signals, labels, epsilon=9, steps=0, start=theta)
    assert torch.allclose(delta, expected, atol=1e-6)


def test_the_smoothing_kernel_is_an_average():
    kernel = smoothing_kernel()
    assert kernel.shape == (19,) and kernel.dtype == torch.float64
    assert kernel.sum().item() == pytest.approx(1)
    assert torch.equal(kernel, kernel.flip(0)) and kernel.argmax() == 9 and kernel.min() > 0


def losses(model, signals, labels):
    with torch.no_grad():
        return functional.cross_entropy(model(signals), labels, reduction="none")


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("padding", ["strip", "mask"])
def test_the_cross_entropy_of_every_record_rises(attack, padded, padding, seed):
    signals, valid, labels = padded
    model = small_network(seed)
    delta = attack(model, signals, labels, epsilon=EPSILON, valid=valid, padding=padding)
    rise = losses(model, signals + delta, labels) - losses(model, signals, labels)
    assert (rise > 0).all()


def test_sap_goes_on_from_pgd(padded):
    signals, valid, labels = padded
    arguments, options = (small_network(), signals, labels), {"epsilon": EPSILON, "valid": valid}
    for padding, state in (("strip", "keep"), ("mask", "mask")):
        start = pgd(*arguments, steps=7, padding=state, **options)
        found = sap(*arguments, steps=5, start_steps=7, padding=padding, **options)
        again = sap(*arguments, steps=5, start=start, padding=padding, **options)
        assert torch.equal(found, again)
        kept = start.clone()
        elsewhere = sap(*arguments, steps=5, start_steps=2, padding=padding, **options)
        assert not torch.equal(found, elsewhere)
        assert torch.equal(start, kept)  # not written into


def test_the_pgd_that_sap_starts_from_takes_its_options(padded, monkeypatch):
    signals, valid, labels = padded
    given = {}

    def spy(*arguments, **options):
        given.update(options)
        return pgd(*arguments, **options)

    monkeypatch.setattr("dnalib.attacks.gradient.pgd", spy)
    options = {"loss": margin, "step_size": 3.0, "momentum": 0.4, "valid": valid}
    sap(small_network(), signals, labels, epsilon=9.0, steps=1, start_steps=2, **options)
    assert given["epsilon"] == 9.0 and given["steps"] == 2 and given["padding"] == "keep"
    assert all(given[name] is value for name, value in options.items())
    assert given["schedule"] == "constant" and not given["random_start"]


def test_a_record_is_attacked_alike_in_any_batch(attack, padded):
    signals, valid, labels = padded
    model = small_network()
    together = attack(model, signals, labels, epsilon=EPSILON, steps=8, valid=valid)
    for index in range(4):
        one = slice(index, index + 1)
        alone = attack(model, signals[one], labels[one], epsilon=EPSILON, steps=8, valid=valid[one])
        assert torch.allclose(alone, together[one], atol=1e-9)


class Moody(nn.Module):
    """A weighted sum of the record, whose direction hangs on what stands on the padding."""

    def __init__(self, weight, valid, *, moody):
        super().__init__()
        self.weight, self.valid, self.moody = weight, valid, moody

    def forward(self, signals):
        score = (signals * self.valid * self.weight).sum((1, 2))
        mood = (signals * ~self.valid).sum((1, 2))
        score = score * (1 - mood / 20) + 1000 * mood if self.moody else score
        return torch.stack([torch.zeros_like(score), score], dim=1)


def test_what_would_happen_on_the_padding_does_not_matter_to_the_mask(attack):
    valid = torch.ones(2, 1, 60, dtype=torch.bool)
    valid[..., :20] = False
    signals, weight = random_numbers(2, 1, 60) * valid, 1e-3 * random_numbers(1, 60, seed=1)
    found = {}
    for padding in ("mask", "strip"):
        for moody in (False, True):
            model = Moody(weight, valid, moody=moody).eval()
            found[padding, moody] = attack(
                model, signals, torch.tensor([0, 0]), epsilon=10, valid=valid, padding=padding
            )
    assert torch.equal(found["mask", False], found["mask", True])
    assert not torch.equal(found["strip", False], found["strip", True])  # there it does


def test_without_padding_both_modes_are_one(attack, padded):
    signals, _, labels = padded
    model, everywhere = small_network(), torch.ones(4, 1, 300, dtype=torch.bool)
    options = {"epsilon": EPSILON, "steps": 5, "valid": everywhere}
    masked = attack(model, signals, labels, padding="mask", **options)
    assert torch.equal(masked, attack(model, signals, labels, padding="strip", **options))


class Failing(nn.Module):
    """A model that fails on its third call."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(30, 2).double()
        self.layer.bias.requires_grad_(False)
        self.calls = 0

    def forward(self, signals):
        self.calls += 1
        if self.calls == 3:
            raise RuntimeError("third call")
        assert not any(parameter.requires_grad for parameter in self.parameters())
        return self.layer(signals.squeeze(1))


def test_parameters_are_left_as_they_were(attack):
    model = Failing().eval()
    weight = model.layer.weight.detach().clone()
    arguments = (model, random_numbers(2, 1, 30), torch.tensor([0, 1]))
    attack(*arguments, epsilon=1, steps=1, **({"start_steps": 1} if attack is sap else {}))
    assert model.layer.weight.requires_grad and not model.layer.bias.requires_grad
    with pytest.raises(RuntimeError, match="third call"):
        attack(*arguments, epsilon=1, steps=3)
    assert model.layer.weight.requires_grad and not model.layer.bias.requires_grad
    assert model.layer.weight.grad is None
    assert torch.equal(model.layer.weight, weight)


def test_a_model_of_ones_own_with_three_leads(attack):
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv1d(3, 8, 9, stride=4),
        nn.ReLU(),
        nn.AdaptiveAvgPool1d(1),
        nn.Flatten(),
        nn.Linear(8, 5),
    ).eval()
    signals = random_numbers(2, 3, 200).float()
    valid = torch.ones(2, 3, 200, dtype=torch.bool)
    valid[:, 1, :70] = False  # a lead that starts later
    delta = attack(model, signals, torch.tensor([4, 0]), epsilon=0.3, valid=valid)
    assert delta.shape == (2, 3, 200) and delta.dtype == torch.float32
    assert 0 < delta.abs().max() <= 0.3 and not delta[~valid].any()
    labels = torch.tensor([4, 0])
    assert (losses(model, signals + delta, labels) > losses(model, signals, labels)).all()


ACCEPTED = {
    "signals": torch.zeros(2, 1, 30),
    "labels": torch.tensor([0, 1]),
    "epsilon": 1.0,
    "steps": 2,
}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"signals": torch.zeros(2, 30)}, r"shape \(2, 30\)"),
        ({"signals": torch.zeros(2, 1, 30, dtype=torch.int16)}, "torch.int16"),
        ({"signals": torch.full((2, 1, 30), torch.nan)}, "not finite, in record 0 of the batch"),
        (
            {"signals": torch.tensor([0, torch.inf])[:, None, None].repeat(1, 1, 30)},
            "not finite, in record 1",
        ),
        ({"labels": torch.tensor([0, 1, 1])}, r"labels have shape \(3,\)"),
        ({"labels": torch.tensor([0, -100])}, "labels hold -100; accepted are classes from 0"),
        ({"labels": torch.tensor([0, 2])}, "labels reach 2 and the model has 2 classes"),
        ({"labels": torch.tensor([0, 2]), "loss": margin}, "labels reach 2 and the model has 2"),
        (
            {"labels": torch.tensor([0, 1], dtype=torch.int32)},
            "labels have type torch.int32; accepted",
        ),
        ({"labels": np.array([0, 1])}, "labels is of type ndarray; accepted is a tensor, as"),
        ({"signals": np.zeros((2, 1, 30))}, "signals is of type ndarray; accepted is a tensor"),
        ({"valid": np.ones((2, 1, 30), bool)}, "valid is of type ndarray; accepted is a tensor"),
        ({"epsilon": np.ones(2)}, "epsilon is of type ndarray; accepted are numbers and tensors"),
        ({"valid": torch.ones(2, 1, 30)}, "type torch.float32, signals .* equal shape, bool"),
        ({"valid": torch.ones(2, 30, dtype=torch.bool)}, r"valid has shape \(2, 30\)"),
        ({"epsilon": 0}, "epsilon is 0"),
        ({"epsilon": -1}, "epsilon is -1"),
        ({"epsilon": torch.nan}, "epsilon is nan"),
        ({"steps": -1}, "steps is -1"),
        ({"steps": 2.5}, "steps is 2.5; accepted are whole numbers from 0"),
        ({"steps": True}, "steps is True; accepted are whole numbers from 0"),
        ({"padding": "none"}, "padding is 'none'; accepted are 'strip', 'mask', 'keep'"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(attack, changed, message):
    model = Linear(torch.ones(1, 30))
    with pytest.raises(ValueError, match=message):
        attack(model, **(ACCEPTED | changed))


def test_an_attack_finds_gradients_where_none_are_kept(attack):
    model = Linear(torch.ones(1, 30))
    expected = attack(model, **ACCEPTED)
    with torch.no_grad():
        assert torch.equal(attack(model, **ACCEPTED), expected)


def test_inference_mode_is_named(attack):
    with (
        torch.inference_mode(),
        pytest.raises(ValueError, match=r"torch\.inference_mode\(\) is on"),
    ):
        attack(Linear(torch.ones(1, 30)), **ACCEPTED)


@pytest.mark.parametrize("epsilon", [torch.tensor(1.0), torch.ones(2), torch.ones(2, 1, 30)])
@pytest.mark.parametrize("schedule", ["constant", "apgd"])
def test_a_bound_that_asks_for_a_gradient_gets_none(attack, epsilon, schedule):
    model, options = Linear(torch.ones(1, 30)), ACCEPTED | {"schedule": schedule}
    found = attack(model, **(options | {"epsilon": epsilon.requires_grad_()}))
    assert not found.requires_grad
    assert torch.equal(found, attack(model, **(options | {"epsilon": epsilon.detach()})))


@pytest.mark.parametrize("number", [np.float32(1.0), np.int64(1), 1])
def test_a_bound_may_be_a_number_of_numpy(attack, number):
    model = Linear(torch.ones(1, 30))
    found = attack(model, **(ACCEPTED | {"epsilon": number}))
    assert torch.equal(found, attack(model, **ACCEPTED))


def test_a_start_of_another_type_is_taken():
    model = Linear(torch.ones(1, 30))
    start = torch.full((2, 1, 30), 0.5, dtype=torch.float64)
    found = sap(model, **ACCEPTED, start=start)
    assert found.dtype == torch.float32
    assert torch.equal(found, sap(model, **ACCEPTED, start=start.float()))


def test_a_model_in_training_mode_is_refused(attack):
    with pytest.raises(ValueError, match="training mode"):
        attack(Linear(torch.ones(1, 30)).train(), **ACCEPTED)


def test_a_part_in_training_mode_is_refused_and_named(attack):
    model = nn.Sequential(nn.Flatten(), nn.Linear(30, 2), nn.Dropout(0.5)).eval()
    model[2].train()
    with pytest.raises(ValueError, match="the model's part '2' is in training mode; call eval()"):
        attack(model, **ACCEPTED)


def test_a_function_is_refused(attack):
    model = Linear(torch.ones(1, 30))
    with pytest.raises(ValueError, match="the model is of type function; accepted is a torch.nn.M"):
        attack(lambda signals: model(signals), **ACCEPTED)


class Packaging(Linear):
    """Gives its logits in a dictionary."""

    def forward(self, signals):
        return {"logits": super().forward(signals)}


def test_an_answer_that_is_no_tensor_is_refused(attack):
    with pytest.raises(ValueError, match="the model gives a dict; accepted is a tensor of logits"):
        attack(Packaging(torch.ones(1, 30)), **ACCEPTED)
    generators = record_generators(range(2), seed=0)
    with pytest.raises(ValueError, match="the model gives a dict"):
        options = {"steps": 0, "restarts": 2, "generators": generators}
        attack(Packaging(torch.ones(1, 30)), **(ACCEPTED | options))


def test_signals_of_another_type_than_the_model_are_named(attack):
    model = nn.Sequential(nn.Flatten(), nn.Linear(30, 2)).eval()
    with pytest.raises(ValueError, match="signals have type torch.float64 and the parameters of t"):
        attack(model, **(ACCEPTED | {"signals": ACCEPTED["signals"].double()}))


def test_starts_that_do_not_fit_are_refused():
    model = Linear(torch.ones(1, 30))
    for start, message in (
        (np.zeros((2, 1, 30)), "start is of type ndarray; accepted is a tensor, as"),
        (torch.full((2, 1, 30), 1.1), "start reaches 1.1; accepted are values up to epsilon = 1"),
        (torch.zeros(2, 1, 29), r"start has shape \(2, 1, 29\)"),
        (torch.full((2, 1, 30), torch.nan), "start"),
    ):
        with pytest.raises(ValueError, match=message):
            sap(model, **ACCEPTED, start=start)
    sap(model, **ACCEPTED, start=torch.ones(2, 1, 30))


@pytest.fixture
def rippled():
    """A classifier with many local maxima, records and the labels that it gives them."""
    model, signals = Rippled(), random_numbers(12, 1, 40, seed=4)
    return model, signals, model(signals).argmax(1)


SEARCHES = {
    "margin": {"loss": margin},
    "momentum": {"momentum": 1.0},
    "apgd": {"schedule": "apgd"},
    "random": {"random_start": True},
    "restarts": {"restarts": 3},
    "all": {"loss": margin, "schedule": "apgd", "random_start": True, "restarts": 2},
}


def generators_of(search, records, *, seed=0):
    drawn = search.get("random_start") or search.get("restarts")
    return {"generators": record_generators(records, seed=seed)} if drawn else {}


@pytest.mark.parametrize("name", SEARCHES)
@pytest.mark.parametrize("padding", ["strip", "mask"])
def test_every_search_stays_in_the_ball_and_off_the_padding(attack, padded, padding, name):
    signals, valid, labels = padded
    search, model = SEARCHES[name], small_network()
    options = {"epsilon": EPSILON, "steps": 4, "valid": valid, "padding": padding}
    options |= search | generators_of(search, range(4))
    delta = attack(model, signals, labels, **options)
    assert 0 < delta.abs().max() <= EPSILON and not delta[~valid].any()
    plain = attack(model, signals, labels, epsilon=EPSILON, steps=4, valid=valid, padding=padding)
    if name != "restarts":  # of which the first may be the worst of all records
        assert not torch.equal(delta, plain)


@pytest.mark.parametrize("name", SEARCHES)
def test_every_search_treats_a_record_alike_in_any_batch(attack, padded, name):
    signals, valid, labels = padded
    search, model = SEARCHES[name], small_network()
    options = {"epsilon": EPSILON, "steps": 4} | search
    together = attack(
        model, signals, labels, valid=valid, **options, **generators_of(search, range(4))
    )
    for record in (3, 1):
        one = slice(record, record + 1)
        drawn = generators_of(search, [record])
        alone = attack(model, signals[one], labels[one], valid=valid[one], **options, **drawn)
        assert torch.allclose(alone, together[one], atol=1e-9)


def test_restarts_are_never_weaker_and_help_somewhere(attack, rippled):
    model, signals, labels = rippled
    found = {}
    for restarts in (1, 2, 6):
        generators = record_generators(range(12), seed=1)
        delta = attack(
            model, signals, labels, epsilon=0.3, restarts=restarts, generators=generators
        )
        found[restarts] = losses(model, signals + delta, labels)
    assert torch.equal(
        found[1], losses(model, signals + attack(model, signals, labels, epsilon=0.3), labels)
    )
    assert (found[2] >= found[1]).all() and (found[6] >= found[2]).all()
    assert (found[6] > found[1]).sum() > 3


def test_what_runs_are_compared_by_decides():
    model, signals = Rippled(), random_numbers(40, 1, 40, seed=4)
    labels = model(signals).argmax(1)
    found = {}
    for compared_by in (None, margin):
        delta = pgd(
            model,
            signals,
            labels,
            epsilon=0.02,
            steps=3,
            restarts=8,
            compared_by=compared_by,
            generators=record_generators(range(40), seed=0),
        )
        found[compared_by] = margin(model(signals + delta), labels).detach()
    assert (found[margin] >= found[None]).all() and (found[margin] > found[None]).any()


def test_the_start_is_random_where_no_step_is_taken(padded):
    signals, valid, labels = padded
    start = pgd(
        small_network(),
        signals,
        labels,
        epsilon=EPSILON,
        steps=0,
        valid=valid,
        padding="keep",
        random_start=True,
        generators=record_generators(range(4), seed=0),
    )
    assert not start[~valid].any() and (start[valid] != 0).all()
    assert 0.98 * EPSILON < start.abs().max() <= EPSILON


@pytest.mark.parametrize("schedule", ["constant", "apgd"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_bound_a_record_or_a_sample_holds_exactly(attack, padded, schedule, dtype):
    signals, valid, labels = padded
    signals, model = signals.to(dtype), small_network().to(dtype)
    a_record = torch.tensor([3.7, 0.0, 50.1, 11.3], dtype=torch.float64)
    a_sample = 30 * random_numbers(4, 1, 300, seed=5).abs()
    a_sample[..., 100:150] = 0
    for epsilon in (a_record, a_sample):
        bound = (epsilon.view(4, 1, 1) if epsilon.ndim == 1 else epsilon).to(dtype)
        options = {"steps": 4, "valid": valid, "schedule": schedule}
        delta = attack(model, signals, labels, epsilon=epsilon, **options)
        assert delta.dtype == dtype
        assert (delta.abs() <= bound).all() and not delta[~valid].any()
        reached = (delta.abs() >= 0.3 * bound)[(bound > 0) & valid].double().mean()
        assert reached > 0.3


def test_the_model_never_sees_more_than_the_bound_of_a_sample(attack):
    signals, bound = torch.zeros(2, 1, 60).double(), torch.full((2, 1, 60), 5.0).double()
    bound[..., 20:25] = 0.5
    seen = []

    class Spy(Linear):
        def forward(self, signals):
            seen.append(signals.detach().abs())
            return super().forward(signals)

    model = Spy(random_numbers(1, 60))
    attack(model, signals, torch.tensor([0, 1]), epsilon=bound, steps=20)
    assert all((change <= bound).all() for change in seen)
    assert torch.stack(seen).amax() > 3


def test_equal_bounds_are_one_bound(attack, padded):
    signals, valid, labels = padded
    arguments, options = (small_network(), signals, labels), {"steps": 5, "valid": valid}
    one = attack(*arguments, epsilon=EPSILON, **options)
    a_record = attack(*arguments, epsilon=torch.full((4,), EPSILON), **options)
    assert torch.equal(one, a_record)
    if attack is pgd:  # SAP cuts smooth(θ) to a bound a sample at every step
        a_sample = attack(*arguments, epsilon=torch.full((4, 1, 300), EPSILON), **options)
        assert torch.equal(one, a_sample)


def test_apgd_is_stronger_than_equal_steps(rippled):
    model, signals, labels = rippled
    options = {"epsilon": 0.3, "steps": 100}
    mean = {
        schedule: losses(
            model, signals + pgd(model, signals, labels, schedule=schedule, **options), labels
        ).mean()
        for schedule in ("constant", "apgd")
    }
    assert mean["apgd"] > mean["constant"]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"epsilon": torch.ones(3)}, r"epsilon has shape \(3,\)"),
        ({"epsilon": torch.ones(2, 30)}, r"epsilon has shape \(2, 30\)"),
        ({"epsilon": torch.tensor([1.0, -1.0])}, "epsilon holds a value below 0"),
        ({"epsilon": torch.tensor([1.0, torch.nan])}, "epsilon holds a value"),
        ({"schedule": "cosine"}, "schedule is 'cosine'; accepted are 'constant', 'apgd'"),
        ({"momentum": -0.5}, "momentum is -0.5"),
        ({"schedule": "apgd", "momentum": 0.5}, "accepted is to name neither"),
        ({"schedule": "apgd", "step_size": 0.5}, "accepted is to name neither"),
        ({"step_size": -5}, "step_size is -5; accepted are finite numbers above 0"),
        ({"step_size": torch.nan}, "step_size is nan"),
        ({"step_size": torch.ones(2)}, r"step_size is tensor.* accepted are finite numbers"),
        ({"restarts": 0}, "restarts is 0"),
        ({"restarts": 1.5}, "restarts is 1.5; accepted are whole numbers from 1"),
        ({"restarts": 2}, "need generators"),
        ({"random_start": True}, "need generators"),
        ({"generators": [torch.Generator()]}, "1 generators and 2 records"),
        ({"generators": torch.Generator()}, "generators is of type Generator; accepted is a seq"),
        ({"generators": [torch.Generator(), 3]}, r"generators\[1\] is of type int; accepted"),
    ],
)
def test_searches_that_cannot_be_are_refused(attack, changed, message):
    with pytest.raises(ValueError, match=message):
        attack(Linear(torch.ones(1, 30)), **(ACCEPTED | changed))


def test_a_start_beside_random_starts_is_refused():
    generators = record_generators(range(2), seed=0)
    for search in ({"random_start": True}, {"restarts": 2}):
        with pytest.raises(ValueError, match="a start is given beside random starts"):
            sap(
                Linear(torch.ones(1, 30)),
                **ACCEPTED,
                start=torch.zeros(2, 1, 30),
                generators=generators,
                **search,
            )


class Breaking(nn.Module):
    """Two classes by the sum of a record; one record's loss or gradient is not a number.

    Its square root is at 0: there the slope is infinite, and times 0 it is NaN, whatever the loss.
    """

    def __init__(self, *, broken, only_gradient):
        super().__init__()
        self.broken, self.only_gradient = broken, only_gradient
        self.eval()

    def forward(self, signals):
        score = signals.sum((1, 2))  # (batch,)
        own = signals[self.broken].sum()
        wrong = (0 * own).sqrt() if self.only_gradient else torch.nan * own
        here = torch.arange(len(score)) == self.broken
        return torch.stack([torch.zeros_like(score), torch.where(here, score + wrong, score)], 1)


@pytest.mark.parametrize("only_gradient", [True, False])
@pytest.mark.parametrize("schedule", ["constant", "apgd"])
def test_a_record_without_a_gradient_is_not_taken_for_a_robust_one(attack, only_gradient, schedule):
    model = Breaking(broken=2, only_gradient=only_gradient)
    signals, labels = random_numbers(4, 1, 30), torch.zeros(4, dtype=torch.int64)
    with pytest.raises(ValueError, match="not a number for 1 of 4 .* place 2 of the batch"):
        attack(model, signals, labels, epsilon=0.5, schedule=schedule)


class BreakingLate(nn.Module):
    """Two classes by the sum of a record; NaN at the `last` call and after it."""

    def __init__(self, last):
        super().__init__()
        self.calls, self.last = 0, last
        self.eval()

    def forward(self, signals):
        self.calls += 1
        score = signals.sum((1, 2))
        score = score * torch.nan if self.calls >= self.last else score
        return torch.stack([torch.zeros_like(score), score], dim=1)


@pytest.mark.parametrize("last", [1, 2, 5, 6])  # of five steps and the start
def test_apgd_keeps_no_state_whose_loss_is_not_a_number(last):
    signals, labels = random_numbers(4, 1, 30), torch.zeros(4, dtype=torch.int64)
    with pytest.raises(ValueError, match="not a number for 4 of 4"):
        pgd(BreakingLate(last), signals, labels, epsilon=0.5, steps=5, schedule="apgd")


def test_a_momentum_without_a_gradient_is_refused_as_well(attack):
    model = Breaking(broken=0, only_gradient=True)
    signals, labels = random_numbers(4, 1, 30), torch.zeros(4, dtype=torch.int64)
    with pytest.raises(ValueError, match="not a number for 1 of 4 .* at place 0"):
        attack(model, signals, labels, epsilon=0.5, momentum=0.9)


def test_a_classifier_of_one_class_is_not_called_robust(attack):
    only = nn.Sequential(nn.Flatten(), nn.Linear(30, 1).double()).eval()
    with pytest.raises(ValueError, match="the cross-entropy needs .* at least 2 classes"):
        attack(only, random_numbers(4, 1, 30), torch.zeros(4, dtype=torch.int64), epsilon=0.5)


def test_a_bound_may_be_a_number_in_a_tensor(attack, padded):
    signals, _, labels = padded
    bound = from_millivolts(torch.tensor(0.05))
    found = attack(small_network(), signals, labels, epsilon=bound, steps=3)
    same = attack(small_network(), signals, labels, epsilon=bound.item(), steps=3)
    assert torch.equal(found, same)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
@pytest.mark.parametrize("several", [False, True])
def test_the_bound_holds_in_every_precision(dtype: torch.dtype, several: bool) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Flatten(), nn.Linear(50, 3)).to(dtype).eval()
    signals, labels = torch.ones(3, 1, 50, dtype=dtype), torch.tensor([0, 1, 2])
    for bound in (0.3, 50.7, 1000.9):
        epsilon = torch.full((3,), bound) if several else bound
        found = pgd(model, signals, labels, epsilon=epsilon, steps=12).float()
        rounding = 2 * torch.finfo(dtype).eps
        assert bound * (1 - rounding) <= found.abs().max() <= torch.tensor(bound)
