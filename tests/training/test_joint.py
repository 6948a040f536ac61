"""Networks side by side."""

import pytest
import torch
from random_network import random_network

from dnalib.training.joint import JointNetwork, networks_of


@pytest.fixture
def members():
    return [random_network(width=0.02, seed=seed) for seed in range(3)]


def test_each_member_answers_as_it_does_by_itself(members):
    signals = torch.randn(4, 1, 300, generator=torch.Generator().manual_seed(1))
    logits, features = JointNetwork(members)(signals)
    assert logits.shape == (3, 4, 4) and features.shape == (3, 4, 64)
    for member, one, own in zip(members, logits, features, strict=True):
        expected, of_member = member(signals, with_features=True)
        assert torch.equal(one, expected) and torch.equal(own, of_member)


def test_each_member_may_be_shown_a_batch_of_its_own(members):
    signals = torch.randn(3, 5, 1, 300, generator=torch.Generator().manual_seed(1))
    logits, _ = JointNetwork(members)(signals)
    for member, one, shown in zip(members, logits, signals, strict=True):
        assert torch.equal(one, member(shown))


def test_networks_of_one_or_several(members):
    assert networks_of(members[0]) == members[:1]
    assert networks_of(JointNetwork(members)) == members


def test_one_member_is_too_few(members):
    with pytest.raises(ValueError, match="there are 1 members; accepted are two and more"):
        JointNetwork(members[:1])


def test_a_member_of_ones_own_is_refused(members):
    with pytest.raises(ValueError, match=r"members\[1\] is of type Linear; accepted is a dnalib"):
        JointNetwork([members[0], torch.nn.Linear(3, 4)])
