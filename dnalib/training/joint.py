"""Several networks that are trained together, as one module."""

from collections.abc import Iterable, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from dnalib.classifiers import check_network
from dnalib.model import Network
from dnalib.training.acceleration import compiled_of


class JointNetwork(nn.Module):
    """Networks side by side, so that one optimizer and one backward pass serve them all.

    Args:
        members: networks, at least two.

    Raises:
        ValueError: fewer than two, or one that is none of this library's.
    """

    def __init__(self, members: Sequence[Network]) -> None:
        super().__init__()
        if len(members) < 2:
            raise ValueError(f"there are {len(members)} members; accepted are two and more")
        for place, member in enumerate(members):
            check_network(f"members[{place}]", member)
        self.members = nn.ModuleList(members)

    def forward(self, signals: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (member, batch, class) and features (member, batch, feature).

        Args:
            signals: (batch, lead, time) for all members, or (member, batch, lead, time), a batch
                for each, raw units.
        """
        shown = signals if signals.ndim == 4 else [signals] * len(self.members)
        answers = [
            member(one, with_features=True) for member, one in zip(self.members, shown, strict=True)
        ]
        logits, features = zip(*answers, strict=True)
        return torch.stack(logits), torch.stack(features)


def networks_of(network: Network | JointNetwork) -> list[Network]:
    """The networks that one training makes: one, or those trained together."""
    if isinstance(network, JointNetwork):
        return list(cast("Iterable[Network]", network.members))
    return [network]


def unwrapped(network: nn.Module) -> Network | JointNetwork:
    """The plain network, or networks, of what Lightning Fabric set up, compiled or not."""
    compiled = compiled_of(network)
    return cast("Network | JointNetwork", network.module if compiled is None else compiled.network)
