"""Attack many records: batches of similar length, sized to memory, computed where records are."""

from collections.abc import Callable, Iterator, Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from dnalib.attacks import Padding
from dnalib.inference import Evaluator, batches_by_length, fitting_batch, span
from dnalib.model import Network
from dnalib.signals import PackedSignals

Attack = Callable[[nn.Module, Tensor, Tensor, Tensor], Mapping[str, Tensor]]
PRECISIONS = ("32-true", "bf16-mixed")


class InPrecision(nn.Module):
    """A classifier whose forward and backward pass run under bf16 autocast; logits in float32.

    Args:
        model: the classifier, in evaluation mode.
        precision: "32-true" changes nothing; "bf16-mixed" multiplies in bf16.

    Raises:
        ValueError: an unknown precision.
    """

    def __init__(self, model: nn.Module, *, precision: str) -> None:
        super().__init__()
        if precision not in PRECISIONS:
            raise ValueError(
                f"precision is {precision!r}; accepted are {', '.join(map(repr, PRECISIONS))}"
            )
        self.model = model
        self.in_bf16 = precision == "bf16-mixed"
        self.training = model.training

    def forward(self, signals: Tensor) -> Tensor:
        """(batch, lead, time) -> logits (batch, class), float32."""
        with torch.autocast(signals.device.type, torch.bfloat16, enabled=self.in_bf16):
            return self.model(signals).float()


def attack_records(
    attack: Attack,
    network: Network,
    signals: PackedSignals,
    labels: Tensor,
    *,
    padding: Padding,
    precision: str = "32-true",
    batch_size: int | None = None,
) -> Iterator[tuple[Tensor, dict[str, Tensor]]]:
    """Run an attack over many records, a batch at a time, the longest records first.

    With `padding="mask"` the perturbation stays on the record, so that only the record and what it
    reaches are computed: the same gradients, up to rounding, for less work.

    Args:
        attack: called with the classifier, inputs (batch, 1, time), float32, raw units, labels
            (batch,) and valid (batch, 1, time), bool; returns perturbations by name, shaped like
            the inputs. With "mask" it must leave the padding alone.
        network: the target, on the device that computes; it is left as it is.
        signals: the records, on any device.
        labels: (record,), int64.
        padding: as the attack takes it.
        precision: "32-true", or "bf16-mixed" for products in bf16.
        batch_size: records at once; None for what fits into memory, 64 at most.

    Yields:
        Positions of a batch's records (batch,), and its perturbations by name: (batch, time) over
        the whole padded axis, float32, on the CPU.

    Raises:
        ValueError: an unknown precision, or what the attack raises.
    """
    evaluator = Evaluator(network, length=signals.length)
    device = evaluator.device
    if batch_size is None:
        batch_size = fitting_batch(evaluator)
    for records in batches_by_length(signals, batch_size=batch_size):
        reach = span(signals, records) if padding == "mask" else (0, signals.length)
        module, first, last = evaluator.choose(*reach)
        inputs = signals.batch(records, first=first, last=last)
        valid = signals.valid(records, first=first, last=last)
        found = attack(
            InPrecision(module, precision=precision),
            inputs.to(device).float().unsqueeze(1),
            labels[records].to(device),
            valid.to(device).unsqueeze(1),
        )
        margins = (first, signals.length - last)
        yield (
            records.cpu(),
            {
                name: functional.pad(delta.squeeze(1).float().cpu(), margins)
                for name, delta in found.items()
            },
        )
