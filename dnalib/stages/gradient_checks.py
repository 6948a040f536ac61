"""Checks whether a trained ensemble masks its gradient, over a few records."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from dnalib import attacks, checks
from dnalib.checks.common import fitting_batches
from dnalib.model import Network
from dnalib.runs import ComputingRun, Stage
from dnalib.stages.ensembles import PREPARATION
from dnalib.stages.members import load_member
from dnalib.stages.perturbations import Load
from dnalib.training.recipes import derived_seed

RECORDS = 100  # at most: the check of twice the steps asks for a gain under one point
FEW = 32  # of those that are classified right, for all other checks
SQUARE_TIMES = 15  # proposals of the search without gradients, for each step of PGD
SQUARE_EACH = 10  # and at most for each record: of few records more would say no more


class MeanSoftmax(nn.Module):
    """An ensemble as one classifier: its logits are the logarithm of its mean softmax.

    Args:
        networks: its members, in evaluation mode.
    """

    def __init__(self, networks: Sequence[Network]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)

    def forward(self, signals: Tensor) -> Tensor:
        """(batch, 1, time), raw units -> (batch, class)."""
        logits = torch.stack([network(signals) for network in self.networks])
        return attacks.log_mean_softmax(logits)

    def features(self, signals: Tensor) -> Tensor:
        """All members' features side by side: (batch, 1, time) -> (batch, member · 64)."""
        networks = cast("Iterable[Network]", self.networks)
        return torch.cat([network.features(signals) for network in networks], dim=1)


def checks_name(ensemble: str) -> str:
    """Name of the stage that checks one ensemble."""
    return f"checks-{ensemble.replace(' ', '-')}"


def check_stage(
    ensemble: str,
    members: Sequence[str],
    *,
    records: str,
    epsilon: float,
    load: Load = load_member,
) -> Stage:
    """The checks of one ensemble at one ε, over the first records whose positions a stage stores.

    Perturbations of the base model, or of cor1 for the base model alone, are shown to it as well.
    """
    stranger = "cor1" if tuple(members) == ("base",) else "base"
    return Stage(
        checks_name(ensemble),
        ".json",
        (*PREPARATION, "adaptive_epsilons", "pgd_steps", "seed"),
        tuple(dict.fromkeys((*members, stranger, records))),
        partial(
            store_checks,
            members=tuple(members),
            stranger=stranger,
            records=records,
            epsilon=epsilon,
            load=load,
        ),
        "attack",
    )


def store_checks(
    run: ComputingRun,
    path: Path,
    *,
    members: tuple[str, ...],
    stranger: str,
    records: str,
    epsilon: float,
    load: Load,
) -> dict[str, Any]:
    """Every check of `dnalib.checks`, in the order of its page; none where no record is right.

    The results hold also how far ART's PGD agrees with ours, of `independent.agreement`.
    """
    positions = load_file(run.obtain(records).path)["positions"][:RECORDS]
    chosen = run.dataset.split.test[positions.numpy()]
    model = MeanSoftmax([load(run, member) for member in members]).eval()
    device = next(model.parameters()).device
    signals = run.dataset.signals(chosen).float().unsqueeze(1).to(device)
    labels = run.dataset.labels(chosen).to(device)
    valid = run.dataset.valid(chosen).unsqueeze(1).to(device)
    with torch.no_grad():
        right = model(signals).argmax(1) == labels  # (record,)
    found: list[checks.CheckResult] = []
    agreement = None
    if right.any():
        attacked = (model, signals[right], labels[right], valid[right])
        steps = run.settings.pgd_steps
        found = run_checks(
            *attacked,
            stranger=load_member(run, stranger),
            epsilon=epsilon,
            epsilons=sorted(run.settings.adaptive_epsilons),
            steps=steps,
            seed=derived_seed(run.settings.seed, FEW),
        )
        agreement = agreement_of_searches(*attacked, epsilon=epsilon, steps=steps)
    path.write_text("{}\n")
    return {
        "epsilon": epsilon,
        "records": int(right.sum()),
        "checks": [asdict(result) for result in found],
        "agreement": agreement,
    }


def agreement_of_searches(
    model: MeanSoftmax,
    signals: Tensor,
    labels: Tensor,
    valid: Tensor,
    *,
    epsilon: float,
    steps: int,
) -> float:
    """Share of the samples in which PGD as others wrote it ends with our PGD's perturbation.

    Both start at the record and take the same steps, on a few records (batch, 1, time).
    """
    from dnalib import independent

    few = slice(FEW)
    ours, theirs = [], []
    for batch in fitting_batches(model, signals[few]):
        records = (model, signals[batch], labels[batch])
        options: dict[str, Any] = {"epsilon": epsilon, "steps": steps, "valid": valid[batch]}
        ours.append(attacks.pgd(*records, padding="mask", **options))
        theirs.append(independent.pgd(*records, **options))
    both = torch.cat(ours), torch.cat(theirs)
    return independent.agreement(*both, epsilon=epsilon, valid=valid[few])


def run_checks(
    model: MeanSoftmax,
    signals: Tensor,
    labels: Tensor,
    valid: Tensor,
    *,
    stranger: nn.Module,
    epsilon: float,
    epsilons: Sequence[float],
    steps: int,
    seed: int,
) -> list[checks.CheckResult]:
    """All checks of one classifier; records (batch, 1, time), all classified right."""
    # Only here, since a run without checks needs no other library of attacks.
    from dnalib import independent

    generator = torch.Generator().manual_seed(seed)
    attack = partial(attacks.pgd, padding="mask", steps=steps)
    twice_the_steps = checks.doubling_steps_gains_little(
        model, signals, labels, epsilon=epsilon, steps=steps, attack=attack, valid=valid
    )
    signals, labels, valid = signals[:FEW], labels[:FEW], valid[:FEW]
    records = (model, signals, labels)
    options: dict[str, Any] = {"attack": attack, "valid": valid}
    proposals = min(SQUARE_TIMES * steps, SQUARE_EACH * len(signals))
    square = partial(independent.square, generator=generator, steps=proposals)
    # The search takes records of one padding at a time: those without any, where there are some.
    whole = valid.flatten(1).all(dim=1)
    alike = whole if whole.any() else torch.ones_like(whole)
    found = [
        checks.zero_gradients(*records, valid=valid),
        checks.iterative_beats_one_step(*records, epsilon=epsilon, **options),
    ]
    if len(epsilons) > 1:
        found.append(checks.success_rises_with_epsilon(*records, epsilons=epsilons, **options))
    found += [
        checks.large_epsilon_succeeds(*records, epsilon=typical_peak(signals), **options),
        twice_the_steps,
        checks.gradient_free_stays_below(
            model,
            signals[alike],
            labels[alike],
            epsilon=epsilon,
            gradient_free=square,
            attack=attack,
            valid=valid[alike],
        ),
        checks.transferred_stays_below(*records, epsilon=epsilon, source=stranger, **options),
        checks.float64_agrees(*records, valid=valid),
        checks.planted_example_is_found(
            *records, epsilon=epsilon, features=model.features, generator=generator, **options
        ),
    ]
    return found


def typical_peak(signals: Tensor) -> float:
    """The median over records of the largest sample, raw units: an ε as large as the record."""
    return signals.abs().amax(dim=(1, 2)).median().item()
