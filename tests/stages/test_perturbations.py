"""Attacks on many records go on where a call was cut off, and end before its minutes do."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from random_network import random_network, random_records
from torch import Tensor, nn

from dnalib.attacks import record_generators
from dnalib.runs import OutOfTime, Portions
from dnalib.signals import PackedSignals
from dnalib.stages.perturbations import craft_all

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

    def craft(attack: Noise, portions: Portions | None = None) -> dict[str, Tensor]:
        return craft_all(
            attack,
            network,
            packed,
            torch.zeros(RECORDS, dtype=torch.int64),
            epsilon=10,
            padding="strip",
            precision="32-true",
            generators=record_generators(range(RECORDS), seed=3),
            portions=portions,
        )

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
