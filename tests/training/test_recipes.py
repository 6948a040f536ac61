"""Recipes: schedules, precision and seeds."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from trainings import RECIPE

from dnalib.filters import FourierFilter, ring_filters
from dnalib.model import Network
from dnalib.training import recipes
from dnalib.training.processes import Alone
from dnalib.training.recipes import derived_seed, fastest_device, make_schedule, resolve_precision


def rates_and_betas(schedule, steps=10):
    optimizer = torch.optim.Adam([torch.zeros(1, requires_grad=True)], lr=RECIPE.learning_rate)
    recipe = dataclasses.replace(RECIPE, schedule=schedule)
    made = make_schedule(optimizer, recipe, steps=steps)
    found = []
    for _ in range(steps):
        (group,) = optimizer.param_groups
        found.append((group["lr"], group["betas"][0]))
        optimizer.step()
        made.step()
    return tuple(zip(*found, strict=True))


def test_the_papers_schedule_is_constant():
    assert rates_and_betas("constant") == ((RECIPE.learning_rate,) * 10, (0.9,) * 10)


def test_one_cycle_raises_the_step_size_and_lowers_it_and_does_the_reverse_to_beta():
    rates, betas = rates_and_betas("one-cycle", steps=101)  # of 102: one follows the last
    rise, fall = np.arange(30) / 29.6, (np.arange(30, 101) - 29.6) / 71.4  # 0.3 · 102 − 1 = 29.6

    def along_a_cosine(start, end, share):
        return end + (start - end) * (1 + np.cos(np.pi * share)) / 2

    peak = RECIPE.learning_rate
    rising, falling = along_a_cosine(peak / 25, peak, rise), along_a_cosine(peak, peak / 25e4, fall)
    assert rates == pytest.approx([*rising, *falling], rel=1e-9)
    rising, falling = along_a_cosine(0.95, 0.85, rise), along_a_cosine(0.85, 0.95, fall)
    assert betas == pytest.approx([*rising, *falling], rel=1e-9)


ATTACK = {"adversarial_epsilon": 5.0, "adversarial_steps": 2}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schedule": "cosine"}, "schedule is 'cosine'; accepted are 'one-cycle', 'constant'"),
        ({"method": "foo"}, "method is 'foo'; accepted are 'alone', 'parallel', 'dverge'"),
        ({"precision": "16"}, "precision is '16'; accepted are 'auto'"),
        ({"epochs": 0}, "epochs is 0"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"projected_dimension": 0}, "projected_dimension is 0"),
        ({"learning_rate": 0.0}, "learning_rate is 0.0"),
        ({"epochs": 1.5}, "epochs is 1.5; accepted are whole numbers from 1"),
        ({"epochs": 2.0}, "epochs is 2.0; accepted are whole numbers from 1"),
        ({"epochs": True}, "epochs is True; accepted are whole numbers from 1"),
        ({"epochs": "2"}, "epochs is '2'; accepted are whole numbers from 1"),
        ({"batch_size": 2.5}, "batch_size is 2.5; accepted are whole numbers from 1"),
        ({"projected_dimension": 9.5}, "projected_dimension is 9.5; accepted are whole numbers"),
        (ATTACK | {"adversarial_steps": 1.5}, "adversarial_steps is 1.5; .* whole numbers from 0"),
        (ATTACK | {"adversarial_epsilon": float("inf")}, "adversarial_epsilon is inf; .* finite"),
        ({"seed": -1}, "seed is -1; accepted are whole numbers from 0"),
        ({"seed": 1.5}, "seed is 1.5; accepted are whole numbers from 0"),
        ({"seed": None}, "seed is None; accepted are whole numbers from 0"),
        ({"learning_rate": "1e-3"}, "learning_rate is '1e-3'; accepted are numbers"),
        ({"learning_rate": float("nan")}, "learning_rate is nan"),
        ({"learning_rate": float("inf")}, "learning_rate is inf; accepted are finite values above"),
        ({"decorrelation_weight": float("inf")}, "decorrelation_weight is inf; .* finite values"),
        ({"decorrelation_weight": -0.1}, "decorrelation_weight is -0.1"),
        ({"decorrelation_weight": float("nan")}, "decorrelation_weight is nan"),
        (ATTACK | {"adversarial_epsilon": -5.0}, "adversarial_epsilon is -5.0"),
        (ATTACK | {"adversarial_steps": -1}, "adversarial_steps is -1"),
        (ATTACK | {"method": "dverge", "adversarial_steps": 0}, "adversarial_steps is 0; accepted"),
        ({"method": "dverge"}, "adversarial_epsilon is 0.0 and .* with the method 'dverge'"),
    ],
)
def test_a_recipe_that_no_training_can_follow_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(RECIPE, **changes)


def test_numbers_of_every_type_are_taken_and_become_what_a_checkpoint_holds():
    numbers = {"epochs": np.int64(2), "batch_size": np.int32(60), "seed": np.uint8(7)}
    numbers |= {"adversarial_steps": np.int16(3), "projected_dimension": np.int64(20)}
    numbers |= {"learning_rate": np.float32(0.25), "decorrelation_weight": np.float64(0.5)}
    recipe = dataclasses.replace(
        RECIPE, **numbers, adversarial_epsilon=np.int64(5), swap_persists=np.True_
    )
    given = dataclasses.asdict(recipe)
    assert json.loads(json.dumps(given)) == given
    assert {name: given[name] for name in numbers} == numbers and given["adversarial_epsilon"] == 5
    assert recipe.swap_persists is True


def test_recipes_of_every_method_are_taken():
    for method, changes in [("alone", {}), ("alone", ATTACK), ("parallel", {}), ("dverge", ATTACK)]:
        assert dataclasses.replace(RECIPE, method=method, **changes).method == method


@pytest.mark.parametrize(
    ("cuda", "bf16", "capability", "matrix_units", "expected"),
    [
        (True, True, "DEFAULT", False, "bf16-mixed"),
        (True, False, "AVX512", True, "32-true"),
        (False, True, "AVX512", True, "bf16-mixed"),
        (False, True, "AVX512", False, "32-true"),
        (False, True, "AVX2", True, "32-true"),
    ],
)
def test_automatic_precision(monkeypatch, cuda, bf16, capability, matrix_units, expected):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    # Older GPUs emulate bf16, and PyTorch counts that unless it is told not to.
    monkeypatch.setattr(
        torch.cuda,
        "is_bf16_supported",
        lambda including_emulation=True: bf16 or including_emulation,
    )
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    monkeypatch.setattr(recipes, "cpu_has_bf16", lambda: matrix_units)
    assert resolve_precision("auto") == expected
    assert resolve_precision("32-true") == "32-true"
    assert resolve_precision("bf16-mixed") == "bf16-mixed"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("flags : fpu avx512f amx_bf16 amx_tile", True),
        ("flags : fpu avx512f avx512_bf16\n", True),
        ("flags : fpu avx512f avx512_vnni", False),
        (None, False),
    ],
)
def test_bf16_of_a_processor(monkeypatch, text, expected):
    def read_text(path):
        assert str(path) == "/proc/cpuinfo"
        if text is None:
            raise FileNotFoundError
        return text

    monkeypatch.setattr(recipes.Path, "read_text", read_text)
    assert recipes.cpu_has_bf16() is expected


def test_epochs_have_seeds_of_their_own():
    seeds = {derived_seed(seed, epoch) for seed in range(20) for epoch in range(200)}
    assert len(seeds) == 4000
    assert derived_seed(1, 11) == derived_seed(1, 11) != derived_seed(11, 1)


@pytest.mark.parametrize(
    "set_up", [recipes.keep_float32, fastest_device, lambda: Alone().make_fabric("32-true")]
)
def test_float32_is_float32_wherever_a_device_is_set_up(monkeypatch, set_up):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    set_up()
    assert not torch.backends.cudnn.allow_tf32


def test_a_training_is_on_the_device_that_all_else_is_on(monkeypatch):
    # Left to itself, Fabric prefers Apple's GPUs, which have no float64 for the sums.
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert Alone().make_fabric("32-true").device.type == fastest_device().type != "mps"


def test_float32_is_kept_without_a_warning(recwarn):
    recipes.keep_float32()
    assert not recwarn.list


def test_adversarial_training_without_a_step_is_refused():
    with pytest.raises(ValueError, match="adversarial_steps is 0: that would be training on noise"):
        dataclasses.replace(RECIPE, adversarial_epsilon=10.0)
    dataclasses.replace(RECIPE, adversarial_epsilon=10.0, adversarial_steps=1)


@pytest.mark.parametrize(
    ("precision", "products"), [("32-true", torch.float32), ("bf16-mixed", torch.bfloat16)]
)
def test_records_reach_the_filter_unrounded(precision: str, products: torch.dtype) -> None:
    band, _ = ring_filters(bands=2, length=40)
    network = Network(width=0.03, fourier_filter=FourierFilter(band, length=40))
    seen = []
    network.fourier_filter.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    network.conv1.register_forward_hook(lambda _, inputs, output: seen.append(output.dtype))
    fabric = Alone().make_fabric(precision)
    wrapped = fabric.setup_module(network)
    signals = torch.full((2, 1, 40), 1003.0, device=fabric.device)  # 1004 in bf16
    logits = wrapped(signals)
    assert torch.equal(seen[0], signals) and seen[0].dtype == torch.float32
    assert seen[1] == products and logits.dtype == torch.float32
