"""Random starts, drawn for each record from its own generator, and the worst of several runs."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import torch
from torch import Tensor


def record_generators(records: Iterable[int], *, seed: int) -> list[torch.Generator]:
    """A generator a record, whose numbers hang on the seed and the record alone.

    So a record starts at the same place whatever batch, window or order it is attacked in.

    Args:
        records: what names each record, such as its position in the data set, from 0.
        seed: from 0.
    """
    generators = []
    for record in records:
        (state,) = np.random.SeedSequence([seed, int(record)]).generate_state(1, np.uint64)
        generators.append(torch.Generator().manual_seed(int(state)))
    return generators


def random_perturbation(
    signals: Tensor,
    valid: Tensor | None,
    *,
    bound: float | Tensor,
    generators: Sequence[torch.Generator],
) -> Tensor:
    """Uniform in [−ε, ε] on each sample of a record, zero on the padding.

    Only the record's samples draw numbers, in float64 and on the generator's device: the padding
    around it, the precision and the signals' device change nothing.

    Args:
        signals: (batch, lead, time).
        valid: (batch, lead, time), bool, or None: no padding.
        bound: ε, broadcastable to the signals.
        generators: one a record.

    Returns:
        (batch, lead, time), dtype and device of the signals.
    """
    share = torch.zeros_like(signals)  # of ε
    for record, generator in enumerate(generators):
        inside = ... if valid is None else valid[record]
        samples = share[record][inside]  # (sample,), or (lead, time)
        drawn = torch.rand(
            samples.shape, generator=generator, device=generator.device, dtype=torch.float64
        )
        share[record][inside] = (2 * drawn - 1).to(signals)
    return share * bound


def worst_of(
    runs: int, *, run: Callable[[int], Tensor], value: Callable[[Tensor], Tensor]
) -> Tensor:
    """Each record's answer of the run that has the greatest value, the first of equals.

    A run whose value is NaN is the worst of all: whoever scores its answer hears of it.

    Args:
        runs: how many, from 1.
        run: from its number, counted from 0, to an answer (batch, lead, time).
        value: of an answer, (batch,); not asked for with a single run.
    """
    best = run(0)
    if runs == 1:
        return best
    best_value = value(best)
    for number in range(1, runs):
        answer = run(number)
        answer_value = value(answer)
        better = (answer_value > best_value) | answer_value.isnan()  # (batch,)
        best = torch.where(better[:, None, None], answer, best)
        best_value = torch.where(better, answer_value, best_value)
    return best
