"""Attacks on many records go on where a call was cut off, and end before its minutes do."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from random_network import random_network, random_records
from torch import Tensor, nn

from dnalib.attacks import record_generators
from dnalib.runs import OutOfTime, Portions
from dnalib.signals import PackedSignals
from dnalib.stages.attacking import craft_all, half_within

LENGTH, RECORDS = 300, 150  # three batches


class Noise:
    """An attack that draws its perturbations, and counts the records that it was called with."""

    def __init__(self, *, batches: int = 100) -> None:
        self.attacked = 0
        self.batches = batches  # before it fails

    def __call__(
        self,
        model: nn.Module,
        inputs: Tensor,
        labels: Tensor,
        valid: Tensor,
        *,
        generators: list[torch.Generator],
    ) -> dict[str, Tensor]:
        if self.batches == 0:
            raise KeyboardInterrupt
        self.batches -= 1
        self.attacked += len(inputs)
        drawn = [torch.rand(inputs.shape[2], generator=one) for one in generators]
        return {"noise": 10 * torch.stack(drawn).unsqueeze(1) * valid, "sign": inputs.sign()}


@pytest.fixture
def crafted() -> Callable[..., dict[str, Tensor]]:
    """Attacks the same records whenever it is called."""
    lengths = [LENGTH - 2 * (number * 11 % 28) for number in range(RECORDS)]
    signals = random_records(lengths, length=LENGTH).squeeze(1).short()  # (record, time)
    starts = [(LENGTH - length) // 2 for length in lengths]
    packed = PackedSignals.pack(signals, starts=torch.tensor(starts), lengths=torch.tensor(lengths))
    network = random_network(width=0.03)

    def craft(
        attack: Noise, portions: Portions | None = None, *, records: int = RECORDS, **changes: Any
    ) -> dict[str, Tensor]:
        options = {
            "network": network,
            "labels": torch.zeros(records, dtype=torch.int64),
            "epsilon": 10,
            "padding": "strip",
            "precision": "32-true",
            "generators": record_generators(range(records), seed=3),
        }
        signals = packed.select(torch.arange(records))
        return craft_all(attack, signals=signals, portions=portions, **(options | changes))

    return craft


def test_a_call_that_is_cut_off_loses_one_batch(
    crafted: Callable[..., dict[str, Tensor]], tmp_path: Path
) -> None:
    whole = Noise()
    expected = crafted(whole)
    first = Noise(batches=2)
    with pytest.raises(KeyboardInterrupt):
        crafted(first, Portions(tmp_path))
    second = Noise()
    found = crafted(second, Portions(tmp_path))
    assert first.attacked == 128 and first.attacked + second.attacked == whole.attacked == RECORDS
    assert found.keys() == expected.keys() == {"noise", "sign"}
    for name, perturbations in expected.items():
        assert torch.equal(found[name], perturbations) and perturbations.dtype == torch.float16
    third = Noise(batches=0)
    assert torch.equal(crafted(third, Portions(tmp_path))["noise"], expected["noise"])


def zero_numbers(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:1000] + bytes(len(content) - 1000))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


@pytest.mark.parametrize("damage", [zero_numbers, cut])
def test_records_of_a_damaged_portion_are_attacked_again(
    crafted: Callable[..., dict[str, Tensor]], tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    expected = crafted(Noise())
    with pytest.raises(KeyboardInterrupt):
        crafted(Noise(batches=2), Portions(tmp_path))
    damage(min(tmp_path.iterdir()))
    again = Noise()
    with pytest.warns(UserWarning, match="is damaged; it is made again"):
        found = crafted(again, Portions(tmp_path))
    assert again.attacked == RECORDS - 64, "the whole portion is not attacked again"
    assert all(torch.equal(found[name], expected[name]) for name in expected)


OTHERS = {
    "more records": {},
    "labels": {"labels": torch.ones(100, dtype=torch.int64)},
    "network": {"network": random_network(width=0.03, seed=1)},
    "an ensemble": {"network": [random_network(width=0.03)] * 2},
    "epsilon": {"epsilon": 9},
    "padding": {"padding": "mask"},
    "precision": {"precision": "bf16-mixed"},
    "random numbers": {"generators": record_generators(range(100), seed=4)},
}


@pytest.mark.parametrize("changed", OTHERS)
def test_portions_of_another_attack_do_not_count(
    crafted: Callable[..., dict[str, Tensor]], tmp_path: Path, changed: str
) -> None:
    more = changed == "more records"
    crafted(Noise(), Portions(tmp_path), records=101 if more else 100, **OTHERS[changed])
    again = Noise()
    with pytest.warns(UserWarning, match="was made of other records .* it is made again"):
        found = crafted(again, Portions(tmp_path), records=100)
    assert again.attacked == 100
    expected = crafted(Noise(), records=100)
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    assert torch.equal(
        crafted(Noise(batches=0), Portions(tmp_path), records=100)["noise"], found["noise"]
    )


def test_a_call_ends_when_its_minutes_do(
    crafted: Callable[..., dict[str, Tensor]], tmp_path: Path
) -> None:
    expected = crafted(Noise())
    for done in (64, 128):
        with pytest.raises(OutOfTime, match=f"over: {done} of {RECORDS} records are attacked"):
            crafted(Noise(), Portions(tmp_path, minutes_left=lambda: 0.0))
    # The last batch needs no time after it.
    found = crafted(Noise(), Portions(tmp_path, minutes_left=lambda: 0.0))
    assert torch.equal(found["noise"], expected["noise"])


@pytest.mark.parametrize("epsilon", [0.7, 10.0])  # fp16 holds the second only
def test_halves_stay_within_epsilon(epsilon: float) -> None:
    changes = torch.tensor([[epsilon, -epsilon, 0.25]])
    found = half_within(changes, epsilon)
    assert found.dtype == torch.float16
    assert found.double().abs().max() <= epsilon, "epsilon itself would be rounded up"
    torch.testing.assert_close(found.float(), changes, rtol=1e-3, atol=0)
