"""Universal perturbations, one for all records, learnt from training records."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor

from dnalib import attacks
from dnalib.ensemble import Ensemble
from dnalib.inference import Evaluator, fitting_batch
from dnalib.precision import InPrecision
from dnalib.runs import ComputingRun, Stage
from dnalib.stages.attacking import half_within
from dnalib.stages.ensembles import ENSEMBLES, MEMBERS, PREPARATION, in_full
from dnalib.stages.members import load_member
from dnalib.stages.perturbations import logits_under_each, records_at
from dnalib.training.recipes import derived_seed

RECORDS = 640  # training records that a universal perturbation is learnt from, at most
RECORDS_EACH = 8  # of them, at most, for each record that it is tried on
EPOCHS = 5
BATCH = 20  # records a step: as many against each target, lest one be attacked with fewer steps
DELTA = "delta"  # what a portion holds: (time,), float32
LARGEST_LOSS = 5.0  # nats: a record whose true class has less than 1 % left counts no more


def universal_name(epsilon: float) -> str:
    """Name of the stage that stores logits under universal perturbations."""
    return f"universal-{in_full(epsilon)}"


def universal_stage(epsilon: float, *, records: str) -> Stage:
    """Universal perturbations at one ε, applied to the records whose positions a stage stores."""
    settings = (*PREPARATION, "adaptive_precision", "seed")
    compute = partial(store_universal, epsilon=epsilon, records=records)
    name = universal_name(epsilon)
    return Stage(name, ".safetensors", settings, (*MEMBERS, records), compute, "attack")


def store_universal(
    run: ComputingRun, path: Path, *, epsilon: float, records: str
) -> dict[str, Any]:
    """Logits of all nine models under a universal perturbation of each target: (model, …), fp16.

    The file holds (model, record, class) under "base" and each ensemble, attacked end to end, and
    "positions".

    Raises:
        OutOfTime: the run's minutes ended first; what is learnt stays for the next call.
    """
    positions = load_file(run.obtain(records).path)["positions"]
    signals, _ = records_at(run, positions)
    valid = signals.valid(torch.arange(len(signals))).squeeze(1)  # (record, time)
    networks = [load_member(run, model) for model in MEMBERS]
    chosen = chosen_records(run, tried_on=len(signals))
    targets = {"base": ("base",), **ENSEMBLES}

    def learn(target: str) -> dict[str, Tensor]:
        delta = learn_universal(run, targets[target], chosen, epsilon=epsilon)  # (time,)
        print(f"  ε = {epsilon:g} µV: learnt one perturbation against {target}", flush=True)
        return {DELTA: delta}

    learnt = run.portions().each(
        list(targets),
        learn,
        made_for=run.contents((*MEMBERS, records)),
        done="perturbations are learnt",
    )
    shown = {target: half_within(one[DELTA], epsilon) * valid for target, one in learnt.items()}
    found = logits_under_each(shown, networks, signals)
    save_file({**found, "positions": positions}, path)
    return {"models": list(MEMBERS), "learnt_from": len(chosen)}


def chosen_records(run: ComputingRun, *, tried_on: int) -> NDArray[np.int64]:
    """Training records to learn from, drawn by the run's seed."""
    train = run.dataset.split.train
    number = min(RECORDS, RECORDS_EACH * tried_on)
    generator = torch.Generator().manual_seed(derived_seed(run.settings.seed, RECORDS))
    return train[torch.randperm(len(train), generator=generator)[:number].numpy()]


def learn_universal(
    run: ComputingRun, members: tuple[str, ...], records: NDArray[np.int64], *, epsilon: float
) -> Tensor:
    """A universal perturbation against an ensemble end to end: (time,), float32, on the CPU."""
    signals = run.dataset.packed(records)
    everything = torch.arange(len(signals))
    evaluators = [Evaluator(load_member(run, one), length=signals.length) for one in members]
    device = evaluators[0].device
    ensemble = Ensemble([evaluator.full for evaluator in evaluators]).eval()
    delta = attacks.universal_perturbation(
        InPrecision(ensemble, precision=run.settings.adaptive_precision),
        signals.batch(everything).float().to(device),
        run.dataset.labels(records).to(device),
        epsilon=epsilon,
        generator=torch.Generator().manual_seed(derived_seed(run.settings.seed, 0)),
        epochs=EPOCHS,
        batch_size=BATCH,
        at_once=max(1, min(map(fitting_batch, evaluators)) // len(evaluators)),
        loss=attacks.end_to_end(),
        largest_loss=LARGEST_LOSS,
        valid=signals.valid(everything).to(device),
    )
    return delta[0].cpu()
