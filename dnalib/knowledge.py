"""A run's attacks that know the defence: answers under each, and the worst of several per record.

Attacks are named by their kind and by what they aim at, as in "SAP, base model". Members are
counted from 1, the base model.
"""

from collections.abc import Mapping

import numpy as np
import pandas
from safetensors.numpy import load_file

from dnalib import metrics, robustness, transfer
from dnalib.answers import RULES, Answers, answers_of, worst_case_table
from dnalib.runs import Run
from dnalib.stages import ATTACKS, ENSEMBLES, MEMBERS
from dnalib.stages.adaptive import adaptive_name, middle_epsilon, transfer_name
from dnalib.stages.universal import universal_name
from dnalib.tables import INTERVAL_SEED, natural, selected

BASE, MEMBER_2, MEMBER_3 = "base model", "member 2", "member 3"
# What an attacker knows -> what is attacked then; per record the strongest of these counts.
KNOWLEDGE: Mapping[str, tuple[str, ...]] = {
    "base model": (BASE,),
    "each member": (BASE, MEMBER_2, MEMBER_3),
    "whole ensemble": ("end to end", "mean of members"),
    "adaptive": ("least misled member", "most misled member", "confidently wrong"),
}
ALL = "all of these"
PAPER = f"SAP, {BASE}"  # the attack of the paper's headline
DOUBT = (PAPER, "PGD, end to end", "APGD, confidently wrong")  # beside the natural records


def epsilons(run: Run) -> list[float]:
    """The bounds of the attacks, rising, raw units."""
    return sorted(run.settings.adaptive_epsilons)


def middle(run: Run) -> float:
    """The bound at which a chapter shows what it does not show at all of them, raw units."""
    return middle_epsilon(run.settings)


def natural_answers(run: Run) -> Answers:
    """Answers to all unperturbed test records, the control's among them."""
    return answers_of(*natural(run, MEMBERS))


def conditions(run: Run, *, epsilon: float) -> dict[str, Answers]:
    """Answers under every attack on an ensemble, each ensemble attacked by itself.

    The control's constants cannot be misled, so that every attack on it is one on its base model:
    SAP where the others are attacked by SAP, else PGD.

    Returns:
        Name of the attack -> answers to the attacked records.
    """
    files = {
        ensemble: load_file(run.obtain(adaptive_name(ensemble, epsilon)).path)
        for ensemble in ENSEMBLES
    }
    (ensemble, first), *_ = files.items()
    labels = natural(run, ["base"])[1][first["positions"]]
    found = {}
    for target in dict.fromkeys(target for group in KNOWLEDGE.values() for target in group):
        for attack in (*ATTACKS, "apgd"):
            if stored_name(ensemble, target, attack) not in first:
                continue
            logits = {
                one: file[stored_name(one, target, attack)].astype(np.float64)
                for one, file in files.items()
            }
            of_base = first["base/sap" if attack == "sap" else "base/pgd"][0]  # (record, class)
            logits[metrics.CONTROL] = metrics.with_constants(of_base.astype(np.float64))
            found[f"{attack.upper()}, {target}"] = Answers(logits, labels)
    return found


def stored_name(ensemble: str, target: str, attack: str) -> str:
    """The name of a condition in the file of an ensemble, which names its members."""
    members = dict(zip((BASE, MEMBER_2, MEMBER_3), ENSEMBLES[ensemble], strict=True))
    return f"{members.get(target, target)}/{attack}"


def known_to(attacks: Mapping[str, Answers], *, knowledge: str) -> dict[str, Answers]:
    """Those of the attacks that an attacker with some knowledge has; with `ALL` every one.

    Raises:
        ValueError: the knowledge is none of `KNOWLEDGE` and not `ALL`.
    """
    if knowledge == ALL:
        return dict(attacks)
    if knowledge not in KNOWLEDGE:
        raise ValueError(f"knowledge is {knowledge!r}; accepted are {', '.join((*KNOWLEDGE, ALL))}")
    targets = KNOWLEDGE[knowledge]
    return {
        name: answers
        for name, answers in attacks.items()
        if name.split(", ", maxsplit=1)[1] in targets
    }


def fewest_right(attacks: Mapping[str, Answers]) -> Answers:
    """Answers under the attack that leaves the fewest members right, chosen anew for each record.

    Of attacks that leave as many, the one that leaves the true class the smallest mean probability
    counts. So the average and P(≥x) are those of the strongest attack per record for every x at
    once. A vote can fail under another attack than this one: `answers.worst_case_table` joins the
    votes themselves.

    Args:
        attacks: name -> answers of the same ensembles to the same records.
    """
    (first, *_) = attacks.values()
    labels = first.labels
    records = np.arange(len(labels))
    chosen = {}
    for ensemble in first.logits:
        logits = np.stack([answers.logits[ensemble] for answers in attacks.values()])
        right = (logits.argmax(axis=-1) == labels).sum(axis=1)  # (attack, record)
        of_true = metrics.softmax(logits).mean(axis=1)[:, records, labels]  # (attack, record)
        strongest = np.lexsort((of_true, right), axis=0)[0]  # (record,)
        chosen[ensemble] = logits[strongest, :, records].swapaxes(0, 1)
    return Answers(chosen, labels)


def knowledge_table(run: Run) -> pandas.DataFrame:
    """What survives by what the attacker knows, each record under the strongest attack known.

    Returns:
        Columns epsilon (raw units), knowledge, ensemble, measure (those of
        `robustness.ensemble_table` and of `answers.RULES`), value, low, high (fractions), records.
    """
    tables = []
    for epsilon in epsilons(run):
        attacks = conditions(run, epsilon=epsilon)
        for knowledge in (*KNOWLEDGE, ALL):
            known = known_to(attacks, knowledge=knowledge)
            worst = fewest_right(known)
            members = robustness.ensemble_table(worst.correct(), worst.labels, seed=INTERVAL_SEED)
            joined = worst_case_table(known, seed=INTERVAL_SEED)
            votes = joined[joined.measure.isin(list(RULES))][list(members.columns)]
            both = pandas.concat([members, votes], ignore_index=True)
            condition = {"epsilon": epsilon, "knowledge": knowledge}
            tables.append(both.assign(**condition)[[*condition, *both.columns]])
    return pandas.concat(tables, ignore_index=True)


def strongest_table(run: Run) -> pandas.DataFrame:
    """Which single attack breaks most by P(≥1), beside the strongest of all per record.

    Returns:
        Rows of `answers.worst_case_table` for P(≥1), with a column epsilon (raw units) before.
    """
    tables = []
    for epsilon in epsilons(run):
        table = worst_case_table(conditions(run, epsilon=epsilon), seed=INTERVAL_SEED)
        chosen = selected(table, measure="at least 1")
        tables.append(chosen.assign(epsilon=epsilon)[["epsilon", *table.columns]])
    return pandas.concat(tables, ignore_index=True)


def universal_conditions(run: Run, *, epsilon: float) -> dict[str, Answers]:
    """Answers unperturbed and under one perturbation for all records, by what it was learnt on.

    Returns:
        "none", "base model" and "end to end" (each ensemble's own; the control's is the base
        model's) -> answers to the attacked records.
    """
    file = load_file(run.obtain(universal_name(epsilon)).path)
    logits, labels = natural(run, MEMBERS)
    positions = file["positions"]
    of_base = answers_of(file["base"].astype(np.float64), labels[positions])
    own = {
        ensemble: answers_of(file[ensemble].astype(np.float64), of_base.labels).logits[ensemble]
        for ensemble in ENSEMBLES
    }
    own[metrics.CONTROL] = of_base.logits[metrics.CONTROL]
    return {
        "none": answers_of(logits[:, positions], of_base.labels),
        BASE: of_base,
        "end to end": Answers(own, of_base.labels),
    }


def doubt_conditions(run: Run, *, epsilon: float) -> dict[str, Answers]:
    """Answers whose doubt is judged: to all natural test records, and under `DOUBT`."""
    attacks = conditions(run, epsilon=epsilon)
    return {"natural": natural_answers(run), **{name: attacks[name] for name in DOUBT}}


def transfer_of(
    run: Run, *, attack: str, epsilon: float, band: str | None = None
) -> pandas.DataFrame:
    """How often each model is fooled by what was crafted on each, as `transfer.transfer_table`.

    Args:
        attack: "pgd" or "sap".
        epsilon: raw units.
        band: "h1" or "h2" for what that filter passes of the perturbation; None for all of it.
    """
    file = load_file(run.obtain(transfer_name(epsilon)).path)
    ending = "" if band is None else f"/{band}"
    logits, labels = natural(run, MEMBERS)
    logits, labels = logits[:, file["positions"]], labels[file["positions"]]
    before = dict(zip(MEMBERS, metrics.correct_predictions(logits, labels), strict=True))
    attacked = {
        model: dict(
            zip(
                MEMBERS,
                metrics.correct_predictions(file[f"{model}/{attack}{ending}"], labels),
                strict=True,
            )
        )
        for model in MEMBERS
    }
    return transfer.transfer_table(attacked, natural=before, seed=INTERVAL_SEED)
