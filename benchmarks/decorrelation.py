"""The decorrelation loss and its gradient at full size: ours against pinv, one model at a time.

`share_of_step` is what the loss adds to a training step of the full-size network on as many rows:
on a GPU such a step is taken (with `--quick` one of nearly as many); on a CPU, where it takes long,
one of few rows is. The seconds are scaled by the rows. What a step spends once, whatever its rows,
then counts several times; that is small beside the convolutions.
"""

import torch
from full_step import ROWS_ON_A_GPU, full_step
from sides import alternate, parse, report, where_time_goes
from torch import Tensor

from dnalib.losses import draw_projections, projected_decorrelation

RECORDS, FEATURES, PROJECTED, MODELS = 80, 64, 50, 2
CALLS = 100  # a measurement: one call is too short
ROWS_ON_A_CPU = 4  # of the training step that is measured there


def pinv_loss(features: Tensor, earlier: list[Tensor]) -> Tensor:
    """The loss by a pseudo-inverse in float32, as the published scripts take it."""
    total = features.new_zeros(())
    for fixed in earlier:
        swap = torch.rand(()).item() > 0.5
        regressor, regressand = (fixed, features) if swap else (features, fixed)
        projection = torch.randn(FEATURES, PROJECTED).to(features.device) / FEATURES**0.5
        ones = torch.ones(RECORDS, 1).to(features.device)
        x = torch.cat([regressor @ projection, ones], dim=1)
        fitted = (x @ torch.linalg.pinv(x)) @ regressand
        residual = (regressand - fitted).square().sum()
        spread = (regressand - regressand.mean(dim=0)).square().sum()
        total = total + torch.log(spread + 1e-5) - torch.log(residual + 1e-5)
    return total / len(earlier)


def step_seconds(*, device: str, repeats: int, rows: int) -> float:
    """Seconds of a full-size training step of so many rows, scaled to those of the loss."""
    step = full_step(batch=rows, device=device)
    seconds, _ = alternate(step, lambda: None, repeats=repeats, device=device)
    return seconds * RECORDS / rows


def step_rows(device: str, *, quick: bool) -> int:
    """Rows of the training step; a quick call takes the step that `training.py` has compiled."""
    if device == "cuda":
        return ROWS_ON_A_GPU if quick else RECORDS
    return ROWS_ON_A_CPU


def main() -> None:
    """The command line."""
    arguments = parse(__doc__.splitlines()[0]).parse_args()
    device = arguments.device
    torch.manual_seed(0)
    features = torch.randn(RECORDS, FEATURES, device=device, requires_grad=True)
    earlier = [torch.randn(RECORDS, FEATURES, device=device) for _ in range(MODELS)]
    generator = torch.Generator()

    def ours() -> None:
        drawn = draw_projections(
            steps=CALLS,
            models=MODELS,
            features=FEATURES,
            projected_dimension=PROJECTED,
            generator=generator,
        ).to(device)
        for step in range(CALLS):
            projected_decorrelation(features, earlier, drawn, step=step).backward()

    def straightforward() -> None:
        for _ in range(CALLS):
            pinv_loss(features, earlier).backward()

    repeats = 3 if arguments.quick else 15
    fast, slow = alternate(ours, straightforward, repeats=repeats, device=device)
    rows = step_rows(device, quick=arguments.quick)
    step = step_seconds(device=device, repeats=1 if arguments.quick else 3, rows=rows)
    report(
        "decorrelation",
        ours=fast / CALLS,
        straightforward=slow / CALLS,
        device=device,
        models=MODELS,
        share_of_step=fast / CALLS / step,
        step_seconds=step,
        step_rows=rows,
        **where_time_goes(ours, device=device),
    )


if __name__ == "__main__":
    main()
