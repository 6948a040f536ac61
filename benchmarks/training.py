"""One training step of the full-size network: ours against float32, a host loader, Conv1d.

Prints medians and, last, a line of JSON; `epoch_seconds` is our step times the steps of an epoch.
"""

import torch
from full_step import ROWS_ON_A_GPU, full_step, made_up_rows
from sides import PlainNetwork, alternate, parse, report, where_time_goes
from torch.nn import functional

from dnalib.training.recipes import resolve_precision

ROWS = 9_589
FLOP_A_ROW = 275e9  # forward and backward, full width


def matrix_rate(device: str) -> float:
    """Operations a second of a bf16 product, 8192³ on a GPU and 2048³ on a CPU."""
    size = 8192 if device == "cuda" else 2048
    one, other = (torch.randn(size, size, device=device).bfloat16() for _ in range(2))
    seconds, _ = alternate(lambda: one @ other, lambda: None, repeats=7, device=device)
    return 2 * size**3 / seconds


def main() -> None:
    """The command line."""
    arguments = parse(__doc__.splitlines()[0]).parse_args()
    device = arguments.device
    batch = ROWS_ON_A_GPU if device == "cuda" else (4 if arguments.quick else 8)
    torch.manual_seed(0)
    ours = full_step(batch=batch, device=device)

    samples, labels = made_up_rows(2 * batch)
    plain = PlainNetwork().to(device)
    optimizer = torch.optim.Adam(plain.parameters(), lr=1e-3)
    dataset = torch.utils.data.TensorDataset(samples.float().unsqueeze(1), labels)
    loader = torch.utils.data.DataLoader(dataset, batch_size=batch, shuffle=True)

    def straightforward() -> None:
        inputs, targets = next(iter(loader))
        optimizer.zero_grad()
        loss = functional.cross_entropy(plain(inputs.to(device)), targets.to(device))
        loss.backward()
        optimizer.step()
        loss.item()

    repeats = 10 if device == "cuda" else (1 if arguments.quick else 3)
    fast, slow = alternate(ours, straightforward, repeats=repeats, device=device)
    rate, most = batch * FLOP_A_ROW / fast, matrix_rate(device)
    report(
        "training",
        ours=fast,
        straightforward=slow,
        device=device,
        batch=batch,
        precision=resolve_precision("auto"),
        epoch_seconds=fast * ROWS / batch,
        teraflop_a_second=rate / 1e12,
        matrix_teraflop_a_second=most / 1e12,
        share_of_matrix_rate=rate / most,
        **where_time_goes(ours, device=device),
    )


if __name__ == "__main__":
    main()
