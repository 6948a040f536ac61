"""Checks whether a trained ensemble masks its gradient, over a few records."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from itertools import chain
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
AGREEMENT = "agreement"  # the part beside the checks
FOUND = "found"  # what a portion holds: a part's results, as bytes
PAGE = (  # the checks in the order of their page
    "zero-gradients",
    "iterative",
    "rising",
    "large-epsilon",
    "steps",
    "gradient-free",
    "transferred",
    "float64",
    "planted",
)


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

    Raises:
        OutOfTime: the run's minutes ended first; what is checked stays for the next call.
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
    attacked = (model, signals[right], labels[right], valid[right])
    steps = run.settings.pgd_steps
    planned: dict[str, Callable[[], Any]] = {}
    if right.any():
        checked = planned_checks(
            *attacked,
            stranger=load_member(run, stranger),
            epsilon=epsilon,
            epsilons=sorted(run.settings.adaptive_epsilons),
            steps=steps,
            seed=derived_seed(run.settings.seed, FEW),
        )
        planned = {part: partial(as_dictionaries, results) for part, results in checked.items()}
        planned[AGREEMENT] = partial(agreement_of_searches, *attacked, epsilon=epsilon, steps=steps)
    kept = run.portions().each(
        list(planned),
        lambda part: {FOUND: as_bytes(planned[part]())},
        made_for=run.contents((*members, stranger, records)),
        done="parts of the checks are made",
    )
    found = {part: from_bytes(portion[FOUND]) for part, portion in kept.items()}
    agreement = found.pop(AGREEMENT, None)
    path.write_text("{}\n")
    return {
        "epsilon": epsilon,
        "records": int(right.sum()),
        "checks": in_page_order(chain.from_iterable(found.values())),
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


def planned_checks(
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
) -> dict[str, Callable[[], list[checks.CheckResult]]]:
    """All checks of one classifier, in parts that can be made one without the other.

    Args:
        model: the classifier.
        signals, labels, valid: records (batch, 1, time), all classified right.
        stranger: whose perturbations are shown to the classifier.
        epsilon: of most checks, raw units.
        epsilons: of the check that compares several; left out where there is one.
        steps: of the attack.
        seed: of the two checks that draw.
    """
    attack = partial(attacks.pgd, padding="mask", steps=steps)
    records = (model, signals[:FEW], labels[:FEW])
    options: dict[str, Any] = {"attack": attack, "valid": valid[:FEW]}

    def drawn() -> list[checks.CheckResult]:
        generator = torch.Generator().manual_seed(seed)  # for one after the other
        return [
            without_gradients(
                *records, epsilon=epsilon, steps=steps, generator=generator, **options
            ),
            checks.planted_example_is_found(
                *records, epsilon=epsilon, features=model.features, generator=generator, **options
            ),
        ]

    planned = {
        "zero-gradients": lambda: [checks.zero_gradients(*records, valid=valid[:FEW])],
        "iterative": lambda: [
            checks.iterative_beats_one_step(*records, epsilon=epsilon, **options)
        ],
        "large-epsilon": lambda: [
            checks.large_epsilon_succeeds(*records, epsilon=typical_peak(records[1]), **options)
        ],
        "steps": lambda: [
            checks.doubling_steps_gains_little(
                model, signals, labels, epsilon=epsilon, steps=steps, attack=attack, valid=valid
            )
        ],
        "drawn": drawn,
        "transferred": lambda: [
            checks.transferred_stays_below(*records, epsilon=epsilon, source=stranger, **options)
        ],
        "float64": lambda: [checks.float64_agrees(*records, valid=valid[:FEW])],
    }
    if len(epsilons) > 1:
        planned["rising"] = lambda: [
            checks.success_rises_with_epsilon(*records, epsilons=epsilons, **options)
        ]
    return planned


def without_gradients(
    model: MeanSoftmax,
    signals: Tensor,
    labels: Tensor,
    *,
    epsilon: float,
    steps: int,
    generator: torch.Generator,
    attack: checks.Attack,
    valid: Tensor,
) -> checks.CheckResult:
    """What Square finds beside the attack, with more proposals than the attack takes steps."""
    # Only here, since a run without checks needs no other library of attacks.
    from dnalib import independent

    proposals = min(SQUARE_TIMES * steps, SQUARE_EACH * len(signals))
    # The search takes records of one padding at a time: those without any, where there are some.
    whole = valid.flatten(1).all(dim=1)
    alike = whole if whole.any() else torch.ones_like(whole)
    return checks.gradient_free_stays_below(
        model,
        signals[alike],
        labels[alike],
        epsilon=epsilon,
        gradient_free=partial(independent.square, generator=generator, steps=proposals),
        attack=attack,
        valid=valid[alike],
    )


def as_dictionaries(results: Callable[[], list[checks.CheckResult]]) -> list[dict[str, Any]]:
    """The results of a part, as JSON holds them."""
    return [asdict(one) for one in results()]


def in_page_order(found: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Results of checks, of `as_dictionaries`, in the order of their page."""
    return sorted(found, key=lambda one: PAGE.index(one["name"]))


def as_bytes(content: Any) -> Tensor:
    """What JSON can hold as a tensor, such as a portion holds: (byte,), uint8."""
    return torch.frombuffer(bytearray(json.dumps(content).encode()), dtype=torch.uint8)


def from_bytes(tensor: Tensor) -> Any:
    """What `as_bytes` was given."""
    return json.loads(bytes(tensor.tolist()))


def typical_peak(signals: Tensor) -> float:
    """The median over records of the largest sample, raw units: an ε as large as the record."""
    return signals.abs().amax(dim=(1, 2)).median().item()
