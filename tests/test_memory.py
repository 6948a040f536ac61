"""Batches are sized to memory: what a forward pass keeps is counted, not guessed."""

import math

import pytest
import torch
from torch import nn

from dnalib import memory
from dnalib.memory import kept_bytes, records_that_fit
from dnalib.model import Network

EXAMPLE = torch.zeros(1, 1, 1000)


def test_what_is_kept_is_counted_once_and_without_parameters():
    # The exponential keeps its answer, the square its input, which is that answer.
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.ones(1000))

        def forward(self, signals):
            return (signals * self.scale).exp().square().sum()

    assert kept_bytes(Model(), EXAMPLE) == 4000 + 4000  # the input, for the scale's gradient


def test_a_network_keeps_in_proportion_to_length_and_width():
    network = Network(width=0.1).eval().requires_grad_(False)
    kept = kept_bytes(network, EXAMPLE)
    assert 1.8 < kept_bytes(network, EXAMPLE.repeat(1, 1, 2)) / kept < 2.2
    wide = Network(width=0.2).eval().requires_grad_(False)
    assert 1.5 < kept_bytes(wide, EXAMPLE) / kept < 2.2


def test_the_batch_follows_the_memory():
    network = Network(width=0.1).eval().requires_grad_(False)
    one = kept_bytes(network, EXAMPLE)
    assert records_that_fit(network, EXAMPLE, free=20 * one) == 10
    assert records_that_fit(network, EXAMPLE, free=10**15) == 64
    assert records_that_fit(network, EXAMPLE, free=10**15, most=7) == 7
    assert records_that_fit(network, EXAMPLE, free=0) == 1


def test_the_devices_memory_is_asked(monkeypatch):
    network = Network(width=0.1).eval().requires_grad_(False)
    assert memory.free_bytes(torch.device("cpu")) > 10**7
    monkeypatch.setattr(memory, "free_bytes", lambda device: 6 * kept_bytes(network, EXAMPLE))
    assert records_that_fit(network, EXAMPLE) == 3


NAMES = {  # of the files, and of the number of cached bytes, in both versions of control groups
    2: ("memory.max", "memory.current", "inactive_file"),
    1: ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
}


def limit_group(folder, *, limit, current, cached, version):
    folder.mkdir(parents=True, exist_ok=True)
    limit_name, used_name, cached_name = NAMES[version]
    (folder / limit_name).write_text(f"{limit}\n")
    (folder / used_name).write_text(f"{current}\n")
    (folder / "memory.stat").write_text(f"anon 7\n{cached_name} {cached}\n")


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({}, math.inf),
        ({"job": "max", "job/step": "max"}, math.inf),
        ({"job": 1000, "job/step": "max"}, 1000 - 600 + 50),
        ({"job": 1000, "job/step": 800}, 800 - 600 + 50),
        ({"job": 500, "job/step": "max"}, 0),
        ({"job/step/other": 700}, math.inf),  # a group below is another's
    ],
)
@pytest.mark.parametrize("version", [2, 1])
def test_a_container_or_job_has_what_its_group_and_those_above_leave(
    tmp_path, limits, expected, version
):
    own, groups = tmp_path / "cgroup", tmp_path / "groups"
    place = groups if version == 2 else groups / "memory"
    own.write_text("5:devices:/\n4:memory:/job/step\n0::/\n" if version == 1 else "0::/job/step\n")
    for name, limit in limits.items():
        limit_group(place / name, limit=limit, current=600, cached=50, version=version)
    assert memory.left_to_group(own=own, groups=groups) == expected
    own.write_text("1:memory,cpu:/job/step\n0::/\n")
    assert memory.left_to_group(own=own, groups=groups) == math.inf
    assert memory.left_to_group(own=tmp_path / "absent", groups=groups) == math.inf


def test_no_more_is_free_than_the_group_leaves(monkeypatch):
    monkeypatch.setattr(memory, "left_to_group", lambda: 12345.0)
    assert memory.free_bytes(torch.device("cpu")) == 12345
