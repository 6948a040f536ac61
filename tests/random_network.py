"""Networks with batch norms that do something, as training leaves them, and made-up records."""

import torch

from dnalib.filters import FourierFilter
from dnalib.model import Network


def random_network(
    *, width: float, seed: int = 0, fourier_filter: FourierFilter | None = None, leads: int = 1
) -> Network:
    """A network in evaluation mode whose scales, offsets and statistics are random."""
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = Network(width=width, fourier_filter=fourier_filter, leads=leads)
    for name, tensor in network.state_dict().items():
        noise = torch.randn(tensor.shape, generator=generator)
        layer, kind = name.split(".")
        if kind == "weight" and layer.startswith("conv"):
            # Each layer passes on what it gets, so that an error anywhere reaches the logits.
            tensor.copy_(noise * (2 / tensor[0].numel()) ** 0.5)
        elif kind == "running_var":
            tensor.copy_((0.3 * noise).exp())
        elif layer.startswith("bn") and kind != "num_batches_tracked":
            tensor.copy_(0.3 * noise + float(kind == "weight"))
    with torch.no_grad():
        network.conv1.weight /= 200  # records reach hundreds of raw units
    return network.eval()


def random_records(
    lengths: list[int], *, length: int, seed: int = 0, leads: int = 1
) -> torch.Tensor:
    """Records of some lengths, centred and padded: (record, lead, time), float32, raw units."""
    generator = torch.Generator().manual_seed(seed)
    signals = torch.zeros(len(lengths), leads, length)
    for row, samples in enumerate(lengths):
        first = (length - samples) // 2
        wave = 200 * torch.randn(leads, samples, generator=generator)
        signals[row, :, first : first + samples] = wave.round()
    return signals
