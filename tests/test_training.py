"""The training loop: it learns, reports, and goes on after an interruption as if without one."""

import dataclasses
import json
from pathlib import Path

import pandas
import pytest
import torch

from dnalib import losses, training
from dnalib.inference import infer
from dnalib.model import Network
from dnalib.signals import PackedSignals
from dnalib.training import (
    Recipe,
    TrainingData,
    derived_seed,
    make_schedule,
    number_of_batches,
    resolve_precision,
    train,
)

RECIPE = Recipe(
    epochs=4,
    batch_size=60,
    learning_rate=4e-3,
    schedule="one-cycle",
    precision="32-true",
    seed=3,
    projected_dimension=50,
)


def network():
    return Network(width=0.02, dropout=0.1)


def quiet(line):
    """Receives the lines of a training."""


def sines(count, *, seed, time=300):
    """Four classes told apart by their frequency: int16 (record, time), and labels."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 4
    frequency = torch.tensor([2.0, 9.0, 30.0, 70.0])[labels][:, None]  # (record, 1), Hz
    phase = 6.28 * torch.rand(count, 1, generator=generator)
    wave = torch.sin(6.2832 * frequency * torch.arange(time) / 300 + phase)  # (record, time)
    noise = torch.randn(count, time, generator=generator)
    return (200 * wave + 40 * noise).to(torch.int16), labels


def padded(signals):
    """All records at full length: float32 (record, time)."""
    return signals.batch(torch.arange(len(signals))).float()


@pytest.fixture(scope="module")
def data():
    signals, labels = sines(120, seed=0)
    test_signals, test_labels = sines(40, seed=1)
    signals, test_signals = PackedSignals.pack(signals), PackedSignals.pack(test_signals)
    return TrainingData(signals, labels, torch.arange(120), test_signals, test_labels)


@pytest.fixture(scope="module")
def earlier():
    return torch.randn(120, 64, generator=torch.Generator().manual_seed(5))


@pytest.fixture(scope="module")
def data_with_earlier(data, earlier):
    return dataclasses.replace(data, earlier=(earlier, earlier.flip(0)))


@pytest.fixture(scope="module")
def uninterrupted(data_with_earlier):
    return train(network, data_with_earlier, recipe=RECIPE, report=quiet)


def same_network(one, other):
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def assert_same(one, other):
    assert same_network(one[0], other[0])
    histories = [history.drop(columns="seconds") for _, history in (one, other)]
    pandas.testing.assert_frame_equal(*histories, check_exact=True)


def test_it_learns_what_is_easy(data):
    slow_or_fast = torch.nonzero((data.labels == 0) | (data.labels == 3)).flatten()
    kept = (data.test_labels == 0) | (data.test_labels == 3)
    easy = dataclasses.replace(
        data,
        rows=slow_or_fast.repeat(2),
        test_signals=data.test_signals.select(kept),
        test_labels=data.test_labels[kept],
    )
    recipe = dataclasses.replace(RECIPE, epochs=16, batch_size=20, learning_rate=0.01)
    trained, history = train(network, easy, recipe=recipe, report=quiet)
    assert history.test_accuracy.iloc[-1] > 0.9
    assert history.train_accuracy.iloc[-1] > 0.9
    assert history.train_loss.iloc[-1] < 0.2 * history.train_loss.iloc[0]
    predicted = infer(trained, easy.test_signals).argmax(1)
    accuracy = (predicted == easy.test_labels).double().mean().item()
    assert accuracy == pytest.approx(history.test_accuracy.iloc[-1])


def test_what_a_training_returns_and_leaves_alone(data):
    lines = []
    torch.manual_seed(11)
    state = torch.get_rng_state()
    recipe = dataclasses.replace(RECIPE, epochs=2)
    trained, history = train(network, data, recipe=recipe, report=lines.append)
    assert torch.equal(torch.get_rng_state(), state)
    assert isinstance(trained, Network) and not trained.training
    assert list(history) == [
        "epoch",
        "train_loss",
        "train_accuracy",
        "decorrelation_loss",
        "test_accuracy",
        "learning_rate",
        "seconds",
    ]
    assert history.epoch.tolist() == [1, 2]
    assert history.decorrelation_loss.isna().all()
    assert len(lines) == 2 and "1/2" in lines[0] and "decorrelation" not in lines[0]


def test_the_same_seed_trains_the_same_network_whatever_was_drawn_before(
    data_with_earlier, uninterrupted
):
    torch.manual_seed(99)
    assert_same(uninterrupted, train(network, data_with_earlier, recipe=RECIPE, report=quiet))
    another = dataclasses.replace(RECIPE, seed=4, epochs=1)
    first = dataclasses.replace(RECIPE, epochs=1)
    results = [
        train(network, data_with_earlier, recipe=recipe, report=quiet)[0]
        for recipe in (first, another)
    ]
    assert not same_network(*results)


class Interruption(Exception):
    """Raised in place of a killed process."""


def interrupt_after(epochs, data, folder):
    def report(line):
        # The line comes before the state of its epoch is kept: one epoch is lost.
        if f"{epochs + 1}/4" in line:
            raise Interruption

    with pytest.raises(Interruption):
        train(network, data, recipe=RECIPE, checkpoint=folder, report=report)


@pytest.mark.parametrize("epochs", [0, 1, 3])
def test_an_interrupted_training_ends_as_if_it_had_not_been(
    data_with_earlier, uninterrupted, tmp_path, epochs
):
    folder = tmp_path / "checkpoint"
    interrupt_after(epochs, data_with_earlier, folder)
    lines = []
    resumed = train(
        network, data_with_earlier, recipe=RECIPE, checkpoint=folder, report=lines.append
    )
    assert len(lines) == 4 - epochs
    assert_same(uninterrupted, resumed)
    # A third call trains no more and answers the same.
    again = train(network, data_with_earlier, recipe=RECIPE, checkpoint=folder, report=lines.append)
    assert len(lines) == 4 - epochs
    assert_same(uninterrupted, again)


def test_only_the_newest_two_states_are_kept(data_with_earlier, tmp_path):
    train(network, data_with_earlier, recipe=RECIPE, checkpoint=tmp_path, report=quiet)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "epoch3.json",
        "epoch3.safetensors",
        "epoch4.json",
        "epoch4.safetensors",
    ]


def truncate(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path):
    content = bytearray(path.read_bytes())
    content[-5] ^= 1  # in a weight
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "suffix"),
    [
        (truncate, ".safetensors"),
        (flip, ".safetensors"),
        (truncate, ".json"),
        (Path.unlink, ".safetensors"),
    ],
)
def test_a_damaged_state_is_noticed_and_the_one_before_used(
    data_with_earlier, uninterrupted, tmp_path, damage, suffix
):
    interrupt_after(3, data_with_earlier, tmp_path)
    damage(tmp_path / f"epoch3{suffix}")
    lines = []
    with pytest.warns(UserWarning, match="epoch3.safetensors is damaged"):
        resumed = train(
            network, data_with_earlier, recipe=RECIPE, checkpoint=tmp_path, report=lines.append
        )
    assert len(lines) == 2
    assert_same(uninterrupted, resumed)


def test_where_every_state_is_damaged_training_starts_again(
    data_with_earlier, uninterrupted, tmp_path
):
    interrupt_after(2, data_with_earlier, tmp_path)
    for path in tmp_path.glob("*.safetensors"):
        flip(path)
    with pytest.warns(UserWarning, match="damaged"):
        resumed = train(
            network, data_with_earlier, recipe=RECIPE, checkpoint=tmp_path, report=quiet
        )
    assert_same(uninterrupted, resumed)


def test_a_state_killed_while_it_was_written_is_not_looked_at(
    data_with_earlier, uninterrupted, tmp_path
):
    interrupt_after(2, data_with_earlier, tmp_path)
    (tmp_path / ".123.safetensors").write_bytes(b"half")
    (tmp_path / "epoch3.safetensors").write_bytes(b"its description was never written")
    resumed = train(network, data_with_earlier, recipe=RECIPE, checkpoint=tmp_path, report=quiet)
    assert_same(uninterrupted, resumed)


def test_the_order_of_the_records_does_not_matter(data_with_earlier, uninterrupted):
    # Rows name records: with records and rows renumbered alike, nothing else may change. This
    # also holds the features of earlier models to the records that they belong to.
    order = torch.randperm(120, generator=torch.Generator().manual_seed(8))
    place = torch.empty(120, dtype=torch.int64)
    place[order] = torch.arange(120)
    renumbered = dataclasses.replace(
        data_with_earlier,
        signals=data_with_earlier.signals.select(order),
        labels=data_with_earlier.labels[order],
        rows=place,
        earlier=tuple(matrix[order] for matrix in data_with_earlier.earlier),
    )
    assert_same(uninterrupted, train(network, renumbered, recipe=RECIPE, report=quiet))


def test_only_the_rows_are_trained_on(data):
    of_one_class = dataclasses.replace(data, rows=torch.arange(2, 120, 4).repeat(4))
    recipe = dataclasses.replace(RECIPE, epochs=2, batch_size=20)
    trained, history = train(network, of_one_class, recipe=recipe, report=quiet)
    assert history.train_accuracy.iloc[-1] > 0.95
    assert (infer(trained, data.test_signals).argmax(1) == 2).all()


def test_each_epoch_has_an_order_and_random_numbers_of_its_own(data, monkeypatch):
    orders, seeds = [], []

    def spy(fabric, state, data, records, *, recipe, generator):
        orders.append(records.tolist())
        seeds.append(torch.initial_seed())
        return torch.zeros(3, dtype=torch.float64)

    monkeypatch.setattr(training, "train_step", spy)
    for seed in (3, 4):
        recipe = dataclasses.replace(RECIPE, epochs=2, batch_size=200, seed=seed)
        train(
            network,
            dataclasses.replace(data, rows=torch.arange(7, 99)),
            recipe=recipe,
            report=quiet,
        )
    assert len(orders) == 4 and len(set(seeds)) == 4
    assert len({tuple(order) for order in orders}) == 4
    assert all(sorted(order) == list(range(7, 99)) for order in orders)


def test_the_history_tells_the_mean_over_rows(data, earlier):
    recipe = dataclasses.replace(RECIPE, epochs=1, batch_size=200, learning_rate=1e-9)
    with_earlier = dataclasses.replace(data, earlier=(earlier,))

    def undropped():
        return Network(width=0.02, dropout=0.0)

    _, history = train(undropped, with_earlier, recipe=recipe, report=quiet)
    torch.manual_seed(recipe.seed)
    untrained = undropped().train()
    with torch.no_grad():
        logits, features = untrained(padded(data.signals).unsqueeze(1), with_features=True)
    expected = torch.nn.functional.cross_entropy(logits, data.labels).item()
    assert history.train_loss[0] == pytest.approx(expected, rel=1e-4)
    accuracy = (logits.argmax(1) == data.labels).double().mean().item()
    assert history.train_accuracy[0] == pytest.approx(accuracy, abs=0.01)
    some = losses.decorrelation_loss(features, [earlier], generator=torch.Generator())
    assert some.item() / 3 < history.decorrelation_loss[0] < some.item() * 3
    # Batches of unequal size weigh by their rows: three batches of 41, 40 and 40.
    rows = torch.cat([torch.arange(120), torch.tensor([0])])
    unequal = dataclasses.replace(data, rows=rows)
    batched = dataclasses.replace(recipe, batch_size=60)
    _, history = train(undropped, unequal, recipe=batched, report=quiet)
    assert history.train_loss[0] == pytest.approx(expected, rel=0.1)
    assert (121 * history.train_accuracy[0]) == pytest.approx(
        round(121 * history.train_accuracy[0])
    )


def test_decorrelation_without_weight_is_plain_training(data, data_with_earlier):
    recipe = dataclasses.replace(RECIPE, decorrelation_weight=0.0, epochs=2)
    plain, _ = train(network, data, recipe=recipe, report=quiet)
    weightless, history = train(network, data_with_earlier, recipe=recipe, report=quiet)
    assert same_network(plain, weightless)
    assert history.decorrelation_loss.notna().all()


def test_decorrelation_lowers_the_shared_information():
    signals, labels = sines(240, seed=0)
    signals = PackedSignals.pack(signals)
    test = torch.arange(8)
    data = TrainingData(signals, labels, torch.arange(240), signals.select(test), labels[test])
    recipe = dataclasses.replace(RECIPE, epochs=20, projected_dimension=20)
    base, _ = train(network, data, recipe=recipe, report=quiet)
    features = infer(base, signals, with_features=True)
    with_base = dataclasses.replace(data, earlier=(features,))
    shared, loss = {}, {}
    for weight in (0.0, 1.0):
        weighted = dataclasses.replace(recipe, decorrelation_weight=weight, seed=6)
        trained, history = train(network, with_base, recipe=weighted, report=quiet)
        current = infer(trained, signals, with_features=True)
        shared[weight] = (losses.r_squared(features, current), losses.r_squared(current, features))
        loss[weight] = history.decorrelation_loss.iloc[-1]
    # Measured: 0.68 and 0.99 without the loss, 0.29 and 0.37 with it.
    assert shared[1.0][0] < shared[0.0][0] - 0.2
    assert shared[1.0][1] < shared[0.0][1] - 0.2
    assert loss[1.0] < loss[0.0] - 0.5


def test_a_loss_that_is_not_finite_stops_the_training(data):
    recipe = dataclasses.replace(RECIPE, learning_rate=1e30, schedule="constant")
    with pytest.raises(FloatingPointError, match="learning_rate below 1e.30"):
        train(network, data, recipe=recipe, report=quiet)


@pytest.mark.parametrize(
    ("rows", "batch_size", "batches"),
    [(9589, 80, 120), (9589, 64, 150), (120, 60, 2), (121, 60, 3), (5, 64, 1)],
)
def test_rows_are_spread_evenly_over_batches(data, rows, batch_size, batches):
    spread = dataclasses.replace(data, rows=torch.arange(rows))
    recipe = dataclasses.replace(RECIPE, batch_size=batch_size)
    assert number_of_batches(spread, recipe) == batches


def test_rows_and_batches_that_cannot_be_trained_on_are_refused(data, data_with_earlier):
    def small(batch_size, data=data_with_earlier):
        return number_of_batches(data, dataclasses.replace(RECIPE, batch_size=batch_size))

    with pytest.raises(ValueError, match="0 training rows"):
        small(60, dataclasses.replace(data, rows=torch.arange(0)))
    with pytest.raises(ValueError, match="batch_size 1"):
        small(1)
    # 52 rows are the fewest for 50 columns and the intercept; 120 rows at 59 come in batches of 40.
    with pytest.raises(ValueError, match="batch_size 59 gives batches of 40 rows.*at least 52"):
        small(59)
    assert small(59, data) == 3
    fitting = dataclasses.replace(data_with_earlier, rows=torch.arange(104))
    assert small(52, fitting) == 2
    with pytest.raises(ValueError, match="batches of 51 rows"):
        small(52, dataclasses.replace(fitting, rows=torch.arange(103)))
    with pytest.raises(ValueError, match="batches of 40 rows"):  # and training says so at once
        recipe = dataclasses.replace(RECIPE, batch_size=59)
        train(network, data_with_earlier, recipe=recipe, report=quiet)


def learning_rates(schedule, steps=10):
    optimizer = torch.optim.Adam([torch.zeros(1, requires_grad=True)], lr=RECIPE.learning_rate)
    recipe = dataclasses.replace(RECIPE, schedule=schedule)
    made = make_schedule(optimizer, recipe, steps=steps)
    rates = []
    for _ in range(steps):
        rates.append(made.get_last_lr()[0])
        optimizer.step()
        made.step()
    return rates


def test_schedules():
    assert learning_rates("constant") == [pytest.approx(4e-3)] * 10
    rates = learning_rates("one-cycle", steps=100)
    peak = rates.index(max(rates))
    assert max(rates) == pytest.approx(4e-3, rel=1e-3)
    assert 20 < peak < 40
    assert rates[:peak] == sorted(rates[:peak])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    assert rates[0] < 4e-4 and rates[-1] < 1e-5
    with pytest.raises(ValueError, match="schedule is 'cosine'; accepted are"):
        learning_rates("cosine")


def test_the_constant_schedule_is_constant_through_a_training(data):
    recipe = dataclasses.replace(RECIPE, schedule="constant", epochs=2)
    _, history = train(network, data, recipe=recipe, report=quiet)
    assert history.learning_rate.tolist() == [4e-3, 4e-3]


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
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: bf16)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    monkeypatch.setattr(training, "cpu_has_bf16", lambda: matrix_units)
    assert resolve_precision("auto") == expected
    assert resolve_precision("32-true") == "32-true"
    assert resolve_precision("bf16-mixed") == "bf16-mixed"


def test_half_precision_trains_and_keeps_its_weights_in_single(data_with_earlier):
    recipe = dataclasses.replace(RECIPE, precision="bf16-mixed", epochs=1)
    trained, history = train(network, data_with_earlier, recipe=recipe, report=quiet)
    assert {parameter.dtype for parameter in trained.parameters()} == {torch.float32}
    assert history.train_loss.notna().all() and history.decorrelation_loss.notna().all()


def test_epochs_have_seeds_of_their_own():
    seeds = {derived_seed(seed, epoch) for seed in range(20) for epoch in range(200)}
    assert len(seeds) == 4000
    assert derived_seed(1, 11) == derived_seed(1, 11) != derived_seed(11, 1)


def test_a_checkpoint_describes_itself(data, tmp_path):
    recipe = dataclasses.replace(RECIPE, epochs=1)
    _, history = train(network, data, recipe=recipe, checkpoint=tmp_path, report=quiet)
    description = json.loads((tmp_path / "epoch1.json").read_text())
    assert description["history"][0]["train_loss"] == history.train_loss[0]
