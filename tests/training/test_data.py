"""What a training reads: batches that are even, data that is told from other data."""

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
import torch
from trainings import RECIPE, make_data, network, quiet

from dnalib.signals import PackedSignals
from dnalib.training import train
from dnalib.training.data import describe_tensors, number_of_batches, signal_tensors
from dnalib.training.recipes import Method


@pytest.mark.parametrize(
    ("rows", "batch_size", "batches"),
    [(9589, 80, 120), (9589, 64, 150), (120, 60, 2), (121, 60, 3), (5, 64, 1)],
)
def test_rows_are_spread_evenly_over_batches(rows, batch_size, batches):
    spread = dataclasses.replace(make_data(), rows=torch.arange(rows) % 120)
    recipe = dataclasses.replace(RECIPE, batch_size=batch_size)
    assert number_of_batches(spread, recipe) == batches


def test_rows_and_batches_that_cannot_be_trained_on_are_refused():
    data, data_with_earlier = make_data(), make_data(earlier_models=2)

    def small(batch_size, data=data_with_earlier):
        return number_of_batches(data, dataclasses.replace(RECIPE, batch_size=batch_size))

    with pytest.raises(ValueError, match="0 training rows"):
        small(60, dataclasses.replace(data, rows=torch.arange(0)))
    with pytest.raises(ValueError, match="batch_size 1"):
        small(1)
    # 52 rows are the fewest for 50 columns and the intercept; 120 rows at 59 come in batches of 40.
    with pytest.raises(
        ValueError, match="120 .* at batch_size 59 .* batches of 40 rows.*at least 52"
    ):
        small(59)
    with pytest.raises(ValueError, match="all 120 training rows are of one class; method 'dverge'"):
        one_class = dataclasses.replace(data, labels=torch.full((120,), 3))
        attack = {"adversarial_epsilon": 10.0, "adversarial_steps": 2}
        number_of_batches(one_class, dataclasses.replace(RECIPE, method="dverge", **attack))
    assert small(59, data) == 3
    fitting = dataclasses.replace(data_with_earlier, rows=torch.arange(104))
    assert small(52, fitting) == 2
    with pytest.raises(ValueError, match="batches of 51 rows"):
        small(52, dataclasses.replace(fitting, rows=torch.arange(103)))
    with pytest.raises(ValueError, match="batches of 40 rows"):  # and training says so at once
        recipe = dataclasses.replace(RECIPE, batch_size=59)
        train(network, data_with_earlier, recipe=recipe, report=quiet)


@pytest.mark.parametrize("method", ["parallel", "dverge"])
def test_features_of_earlier_models_that_a_method_would_ignore_are_refused(method: Method) -> None:
    attack = {"adversarial_epsilon": 10.0, "adversarial_steps": 2}
    recipe = dataclasses.replace(RECIPE, method=method, batch_size=120, **attack)
    assert number_of_batches(make_data(), recipe) == 1
    with pytest.raises(ValueError, match=f"features of 2 models; accepted .* '{method}' are none"):
        number_of_batches(make_data(earlier_models=2), recipe)
    # Adversarial examples alone change nothing: they are trained on beside earlier models.
    assert (
        number_of_batches(make_data(earlier_models=2), dataclasses.replace(recipe, method="alone"))
        == 1
    )


def test_parts_that_do_not_belong_together_are_refused():
    data = make_data(earlier_models=1)

    def refused(message, **parts):
        with pytest.raises(ValueError, match=message):
            dataclasses.replace(data, **parts)

    refused(
        r"^labels have shape \(119,\) for 120 records; accepted is one label a record, \(120,\)",
        labels=data.labels[1:],
    )
    refused(r"^test_labels have shape \(39,\) for 40 records", test_labels=data.test_labels[1:])
    # As the authors publish features: of training rows, the oversampled ones among them.
    rows = data.earlier[0].repeat(2, 1)
    refused(r"earlier\[0\] is of 240 records", earlier=(rows,))
    refused("rows are of records 0 to 120; accepted are 0 to 119", rows=torch.arange(121))
    refused("rows are of records -1 to 4", rows=torch.arange(-1, 5))


@pytest.mark.parametrize("name", ["signals", "test_signals"])
def test_signals_that_are_not_packed_are_refused(name: str) -> None:
    for signals in (torch.zeros(120, 300), np.zeros((120, 300))):
        with pytest.raises(ValueError, match=f"^{name} is of type .*which PackedSignals.pack"):
            dataclasses.replace(make_data(), **{name: signals})


@pytest.mark.parametrize(
    ("name", "wrong", "found"),
    [
        ("labels", np.zeros(120, dtype=int), "labels is of type ndarray"),
        ("labels", [0] * 120, "labels is of type list"),
        ("test_labels", np.zeros(40, dtype=int), "test_labels is of type ndarray"),
        ("rows", range(60), "rows is of type range"),
        ("rows", np.arange(60), "rows is of type ndarray"),
        ("earlier", (np.zeros((120, 64)),), r"earlier\[0\] is of type ndarray"),
    ],
)
def test_what_is_no_tensor_is_refused(name: str, wrong: object, found: str) -> None:
    with pytest.raises(ValueError, match=f"^{found}; accepted is a tensor, as torch.from_numpy"):
        dataclasses.replace(make_data(), **{name: wrong})


def test_the_same_bytes_of_another_type_or_shape_are_told_apart():
    numbers = torch.arange(8, dtype=torch.int16).reshape(4, 2)
    found = {
        describe_tensors([numbers]),
        describe_tensors([numbers.view(torch.float16)]),
        describe_tensors([numbers.unsqueeze(1)]),
    }
    assert len(found) == 3 and {one[:3] for one in found} == {"4 ("}


def other(tensor):
    """The same tensor but for its last number; a class becomes another one."""
    changed = tensor.clone()
    changed.view(-1)[-1] = 0 if changed.view(-1)[-1] == 3 else changed.view(-1)[-1] + 1
    return changed


def test_data_is_told_from_data_that_differs_in_one_number():
    data = make_data(earlier_models=2)
    assert data.digests() == make_data(earlier_models=2).digests()
    moved, moved_test = (
        dataclasses.replace(one, starts=other(one.starts))
        for one in (data.signals, data.test_signals)
    )
    changes = {
        "training signals": {"signals": moved},
        "training labels": {"labels": other(data.labels)},
        "training rows": {"rows": data.rows.roll(1)},
        "test signals": {"test_signals": moved_test},
        "test labels": {"test_labels": other(data.test_labels)},
        "features of earlier model 2": {"earlier": (data.earlier[0], other(data.earlier[1]))},
    }
    assert set(changes) | {"features of earlier model 1"} == set(data.digests())
    for name, change in changes.items():
        digests = dataclasses.replace(data, **change).digests()
        assert {key for key in digests if digests[key] != data.digests()[key]} == {name}
    samples = dataclasses.replace(data.signals, samples=other(data.signals.samples))
    changed = dataclasses.replace(data, signals=samples).digests()["training signals"]
    assert changed != data.digests()["training signals"] and changed.startswith("120 (")


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("labels", lambda labels: labels - 1, "labels holds -1 to 2; class indices are from 0"),
        ("test_labels", lambda labels: labels.int(), "test_labels have type torch.int32"),
        (
            "labels",
            lambda labels: labels[:, None],
            r"^labels have shape \(120, 1\) for 120 records",
        ),
        (
            "test_labels",
            lambda labels: labels[:, None],
            r"^test_labels have shape \(40, 1\) for 40 records; accepted is .* \(40,\)",
        ),
        (
            "test_signals",
            lambda signals: dataclasses.replace(signals, length=301),
            "test_signals are padded to 301 samples and signals to 300; accepted is one length",
        ),
        (
            "test_signals",
            lambda signals: dataclasses.replace(signals, samples=signals.samples.repeat(3, 1)),
            "test_signals are of leads=3 and signals of leads=1; accepted is the same number",
        ),
        (
            "signals",
            lambda signals: dataclasses.replace(signals, samples=signals.samples / 0),
            "^signals hold a value that is not finite, in record 0; accepted are finite numbers",
        ),
        (
            "earlier",
            lambda earlier: (torch.where(torch.arange(120) == 7, torch.nan, earlier[0].T).T,),
            r"earlier\[0\] hold a value that is not finite, of record 7; accepted",
        ),
        ("earlier", lambda earlier: (earlier[0][:, 0],), r"earlier\[0\] has shape \(120,\)"),
        ("earlier", lambda earlier: (earlier[0].long(),), r"\(120, 64\) and type torch.int64"),
        ("rows", lambda rows: rows[:, None], r"rows have shape \(120, 1\) and type torch.int64"),
        ("rows", lambda rows: rows < 9, r"type torch.bool; accepted is \(row,\), int64"),
        ("rows", lambda rows: rows.int(), r"type torch.int32; accepted is \(row,\), int64"),
    ],
)
def test_what_no_training_can_follow_is_refused(name: str, change: Callable, message: str) -> None:
    data = make_data(earlier_models=1)
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(data, **{name: change(getattr(data, name))})


@pytest.mark.parametrize("name", ["labels", "test_labels"])
def test_a_label_beyond_the_networks_classes_is_refused_before_training(name: str) -> None:
    data = make_data()
    beyond = dataclasses.replace(data, **{name: getattr(data, name) + 1})
    with pytest.raises(
        ValueError, match=f"^{name} holds 1 to 4; class indices are 0 to 3 with classes=4$"
    ):
        train(network, beyond, recipe=RECIPE, report=quiet)


def test_every_lead_tells_records_apart_and_one_lead_is_digested_as_ever() -> None:
    signals = torch.zeros(2, 3, 5)
    changed = signals.clone()
    changed[1, 2, 4] = 1
    one, other = (
        describe_tensors(signal_tensors(PackedSignals.pack(each))) for each in (signals, changed)
    )
    assert one != other
    assert signal_tensors(PackedSignals.pack(signals[:, 0]))[-1].shape == (10,)
