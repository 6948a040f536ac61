"""Inputs made by an attack while a network is trained, for the methods that train on them."""

import torch
from torch import Tensor, nn

from dnalib.attacks.ascent import Objective, ascend
from dnalib.attacks.losses import cross_entropy
from dnalib.model import Network, evaluation_mode
from dnalib.precision import InPrecision
from dnalib.trimming import folded


def adversarial_examples(
    network: Network,
    signals: Tensor,
    labels: Tensor,
    *,
    valid: Tensor,
    epsilon: float,
    steps: int,
    precision: str,
) -> Tensor:
    """The signals, each changed by PGD from a random start so that the network errs.

    The network is attacked in evaluation mode, as it will be later; it is left in the mode that it
    was in. Random numbers are those of PyTorch's own generator, which checkpoints keep.

    Args:
        network: the network in training.
        signals: (batch, lead, time), float32, raw units.
        labels: (batch,).
        valid: (batch, lead, time), bool; the padding stays zero.
        epsilon: largest change of a sample, raw units.
        steps: gradient steps, each of 2.5 ε / steps.
        precision: "32-true" or "bf16-mixed", of the attack's products.

    Returns:
        (batch, lead, time), like the signals.

    Source: Madry et al. 2018, equation 2.1 and section 5; the size of the steps after its appendix.
    """
    model = InPrecision(attacked_copy(network), precision=precision)
    start = (2 * torch.rand_like(signals) - 1) * epsilon * valid
    return signals + valid * ascend(
        Objective(model, signals, labels, cross_entropy, change=lambda theta: theta * valid),
        start=start,
        bound=epsilon,
        steps=steps,
        step_size=2.5 * epsilon / max(steps, 1),
    )


def distilled_examples(
    network: Network,
    sources: Tensor,
    targets: Tensor,
    *,
    block: int,
    valid: Tensor,
    epsilon: float,
    steps: int,
    precision: str,
) -> Tensor:
    """The sources, each changed so that the network's maps become those of its target.

    To the eye they remain the sources; what they have of the targets is what this network relies on
    and nobody sees. The network is left in the mode that it was in.

    Args:
        network: the network whose maps are matched.
        sources: (batch, lead, time), float32, raw units: what is changed.
        targets: (batch, lead, time): what is to be found in them.
        block: whose maps, 1 to 13.
        valid: (batch, lead, time), bool, of the sources; their padding stays zero.
        epsilon: largest change of a sample, raw units.
        steps: gradient steps, each of ε / steps.
        precision: as in `adversarial_examples`.

    Returns:
        (batch, lead, time), like the sources.

    Source: :eq:`eq-distillation` of chapter A2, by the signs of the gradient; Yang et al. 2020,
    "DVERGE: diversifying vulnerabilities for enhanced robust generation of ensembles", equation 1.
    """
    maps = InPrecision(MapsAfter(attacked_copy(network), block=block), precision=precision)
    with torch.no_grad():
        wanted = maps(targets)  # (batch, channel · position)
    objective = Objective(maps, sources, wanted, nearness, change=lambda theta: theta * valid)
    return sources + valid * ascend(
        objective,
        start=torch.zeros_like(sources),
        bound=epsilon,
        steps=steps,
        step_size=epsilon / max(steps, 1),
    )


def partners_of_another_class(labels: Tensor) -> Tensor:
    """For each row the position of a row of another class, drawn at random: (batch,).

    Rows that are all of one class have none, and get the first row. Whether they are is not asked
    of the device, which would have to be waited for at every step.

    Args:
        labels: (batch,), on any device.
    """
    differs = labels[:, None] != labels  # (batch, batch)
    draws = torch.rand(differs.shape, device=labels.device)
    return draws.masked_fill(~differs, -1).argmax(dim=1)


def nearness(maps: Tensor, wanted: Tensor) -> Tensor:
    """Minus the squared distance of each row: (batch,)."""
    return -(maps - wanted).square().sum(dim=1)


class MapsAfter(nn.Module):
    """A network up to a block: signals (batch, lead, time) -> (batch, channel · position).

    Args:
        network: in evaluation mode.
        block: 1 to 13.
    """

    def __init__(self, network: Network, *, block: int) -> None:
        super().__init__()
        self.network, self.block = network, block
        self.training = network.training

    def forward(self, signals: Tensor) -> Tensor:
        return self.network.maps_after(signals, block=self.block).flatten(1)


def attacked_copy(network: Network) -> Network:
    """The network as it stands, in evaluation mode, with its batch norms folded."""
    with evaluation_mode(network):
        return folded(network)
