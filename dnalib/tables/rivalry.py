"""The rivals of a run beside its own ensembles: what they answer, share and withstand."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas
from numpy.typing import NDArray
from safetensors.numpy import load_file

from dnalib import intervals, losses, metrics, tables
from dnalib.model import FEATURES
from dnalib.runs import Run
from dnalib.stages import ENSEMBLES
from dnalib.stages.rivals import (
    RIVAL_EARLIER,
    RIVALS,
    batch_setting,
    natural_name,
    rivals_of,
    trainings_of,
)
from dnalib.tables import Banner, by_names, knowledge, with_interval
from dnalib.tables.answers import Answers
from dnalib.tables.knowledge import Ensembles


def names(run: Run) -> list[str]:
    """The rivals that a run has."""
    return list(rivals_of(run.settings))


def banner(run: Run) -> Banner:
    """Which rivals a run has, and which it has not."""
    missing = [rival for rival in RIVALS if rival not in names(run)]
    text = f"Rivals in this run: {listed(names(run))}."
    if missing:
        text += f" Not trained in it, and not shown below: {listed(missing)}."
    return Banner(f"> {text}")


def listed(words: Sequence[str]) -> str:
    """Words in a sentence, each set apart."""
    return tables.in_a_sentence([f"*{word}*" for word in words])


def groups(run: Run) -> list[Ensembles]:
    """Our ensembles, which share the base model, and each rival by itself."""
    return [ENSEMBLES, *({rival: names} for rival, names in rivals_of(run.settings).items())]


def everyone(run: Run) -> dict[str, Sequence[str]]:
    """All ensembles, ours first, each with its networks."""
    return {name: networks for group in groups(run) for name, networks in group.items()}


def together(parts: Sequence[Mapping[str, Answers]]) -> dict[str, Answers]:
    """Answers of several groups of ensembles, under conditions of the same names, as one."""
    first = parts[0]
    return {
        name: Answers(
            {ensemble: one for part in parts for ensemble, one in part[name].logits.items()},
            answers.labels,
        )
        for name, answers in first.items()
    }


def natural_answers(run: Run) -> Answers:
    """Answers of all ensembles and the control to all unperturbed test records."""
    ours = knowledge.natural_answers(run)
    found = {rival: natural_logits(run, rival) for rival in rivals_of(run.settings)}
    return Answers({**ours.logits, **found}, ours.labels)


def natural_logits(run: Run, rival: str) -> NDArray[np.float64]:
    """A rival's logits on the unperturbed test records: (network, record, class)."""
    return load_file(run.obtain(natural_name(rival)).path)["logits"].astype(np.float64)


def conditions(run: Run, *, epsilon: float, attacks: Sequence[str]) -> dict[str, Answers]:
    """Answers of all ensembles, unperturbed and under attacks by their names in `knowledge`."""
    every = [knowledge.conditions(run, epsilon=epsilon, ensembles=group) for group in groups(run)]
    chosen = [{name: under[name] for name in attacks} for under in every]
    return {"natural": natural_answers(run), **together(chosen)}


def summaries(run: Run) -> dict[float, dict[str, Answers]]:
    """`knowledge.summary` of all ensembles, by ε in raw units."""
    return {
        epsilon: together(
            [knowledge.summary(run, epsilon=epsilon, ensembles=group) for group in groups(run)]
        )
        for epsilon in knowledge.epsilons(run)
    }


def knowledge_table(run: Run, *, at: Sequence[float] | None = None) -> pandas.DataFrame:
    """`knowledge.knowledge_table` of all ensembles, by ε."""
    parts = [knowledge.knowledge_table(run, ensembles=group, at=at) for group in groups(run)]
    return pandas.concat(parts).sort_values("epsilon", kind="stable", ignore_index=True)


def histories(run: Run) -> dict[str, pandas.DataFrame]:
    """How the rivals' trainings went, by their names; of networks trained together the means."""
    return tables.histories(run, trainings_of(run.settings))


def chance_losses(run: Run) -> dict[str, float]:
    """The decorrelation loss that networks which share nothing would have, in nats, by training.

    Between networks that are trained together nothing is projected: all columns fit.
    """
    settings = run.settings
    columns = dict.fromkeys(RIVAL_EARLIER, settings.projected_dimension) | {"parallel": FEATURES}
    return {
        name: losses.chance_loss(
            records=getattr(settings, batch_setting(name)), columns=columns[name]
        )
        for name in trainings_of(settings)
        if name in columns
    }


def networks(run: Run) -> pandas.DataFrame:
    """Each rival's networks: their size, and their test accuracy in % with its interval."""
    _, labels = tables.natural(run, ["base"])
    rows = {}
    for rival, names in rivals_of(run.settings).items():
        sizes = run.obtain(natural_name(rival)).results["parameters"]
        correct = metrics.correct_predictions(natural_logits(run, rival), labels)
        for name, size, hits in zip(names, sizes, correct, strict=True):
            rows[rival, name] = {
                "parameters": f"{size:,}",
                "test accuracy (%)": with_interval(*intervals.share_interval(hits)),
            }
    return by_names(rows, ["rival", "network"])


def recipe(run: Run) -> pandas.DataFrame:
    """The settings that the rivals' trainings follow, those of the ensembles among them."""
    settings = run.settings
    rows = {
        "ε of attacks in training and of distillation (µV)": f"{settings.adversarial_epsilon:g}",
        "gradient steps of these": f"{settings.adversarial_steps}",
        "weight of the decorrelation loss": f"{settings.decorrelation_weight:g}",
        "weight of the loss between networks of parallel": f"{settings.parallel_weight:g}",
        "epochs (for DVERGE, as many again)": f"{settings.epochs}",
        "records per step: adversarial1, dverge, wide": f"{settings.batch_size}",
        "records per step: the others": f"{settings.auxiliary_batch_size}",
    }
    return tables.with_rows(pandas.DataFrame({"value": rows}), "setting")


def shared_features(run: Run) -> pandas.DataFrame:
    """R² between the features of an ensemble's networks: mean over ordered pairs, and largest."""
    rows = {}
    for ensemble, names in everyone(run).items():
        if len(names) == 1:
            continue
        pairs = ~np.eye(len(names), dtype=bool)
        plain, adjusted = (
            tables.r_squared(run, ensemble, kind)[pairs] for kind in ("r_squared", "adjusted")
        )
        rows[ensemble] = {
            "mean R²": tables.decimals(plain.mean()),
            "largest R²": tables.decimals(plain.max()),
            "mean adjusted R²": tables.decimals(adjusted.mean()),
        }
    return tables.with_rows(pandas.DataFrame.from_dict(rows, orient="index"), "ensemble")
