"""In which precision a classifier multiplies while it is attacked."""

import torch
from torch import Tensor, nn

from dnalib.classifiers import logits_of

PRECISIONS = ("32-true", "bf16-mixed")


class InPrecision(nn.Module):
    """A classifier or ensemble that runs, forward and backward, under bf16 autocast.

    Args:
        model: the classifier or ensemble, in evaluation mode.
        precision: "32-true" changes nothing; "bf16-mixed" multiplies in bf16.

    Raises:
        ValueError: an unknown precision.
    """

    def __init__(self, model: nn.Module, *, precision: str) -> None:
        super().__init__()
        check_precision(precision)
        self.model = model
        self.in_bf16 = precision == "bf16-mixed"
        self.training = model.training

    def forward(self, signals: Tensor) -> Tensor:
        """(batch, lead, time) -> the model's logits, (batch, class) of a classifier, float32."""
        with torch.autocast(signals.device.type, torch.bfloat16, enabled=self.in_bf16):
            return logits_of(self.model, signals).float()


def check_precision(precision: str) -> None:
    """Raise a ValueError for a precision that is none of `PRECISIONS`."""
    if precision not in PRECISIONS:
        raise ValueError(
            f"precision is {precision!r}; accepted are {', '.join(map(repr, PRECISIONS))}"
        )
