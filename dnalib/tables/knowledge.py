"""A run's attacks that know the defence: answers under each, and what survives by what is known.

Attacks are named by their kind and by what they aim at, as in "SAP, base model". Members are
counted from 1; where the base model is one, it goes by its own name.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas
from numpy.typing import NDArray
from safetensors.numpy import load_file

from dnalib import metrics
from dnalib.runs import Run
from dnalib.stages import ATTACKS, ENSEMBLES, MEMBERS
from dnalib.stages.adaptive import adaptive_name, middle_epsilon
from dnalib.stages.control import CONTROL_STAGE
from dnalib.stages.universal import universal_name
from dnalib.tables import natural, robustness, selected
from dnalib.tables.answers import RULES, Answers, answers_of
from dnalib.tables.convergence import longer_conditions, longer_smooth_conditions
from dnalib.tables.worst_case import fewest_right, worst_case_table

BASE = "base model"
Ensembles = Mapping[str, Sequence[str]]  # name -> its models
# What an attacker knows -> what is attacked then; per record the strongest of these counts.
KNOWLEDGE: Mapping[str, tuple[str, ...]] = {
    "base model": (BASE,),
    "each member": (BASE, "member 1", "member 2", "member 3"),
    "whole ensemble": ("end to end", "mean of members"),
    "adaptive": ("least misled member", "most misled member", "confidently wrong"),
}
ALL = "all of these"
EVERY_AIM = "every aim"  # of one attack: the members, and the ensemble as a whole
MORE_STEPS = "more steps"  # at every aim, and then on where a record is left
PAPER = f"SAP, {BASE}"  # the attack of the paper's headline
END_TO_END = "PGD, end to end"
DOUBT = (PAPER, END_TO_END, "APGD, confidently wrong")  # beside the natural records


def epsilons(run: Run) -> list[float]:
    """The bounds of the attacks, rising, raw units."""
    return sorted(run.settings.adaptive_epsilons)


def middle(run: Run) -> float:
    """The bound at which a chapter shows what it does not show at all of them, raw units."""
    return middle_epsilon(run.settings)


def natural_answers(run: Run) -> Answers:
    """Answers to all unperturbed test records, the control's among them."""
    return answers_of(*natural(run, MEMBERS))


def conditions(run: Run, *, epsilon: float, ensembles: Ensembles = ENSEMBLES) -> dict[str, Answers]:
    """Answers under every attack on an ensemble, each ensemble attacked by itself.

    Beside ensembles with the base model stands the control, attacked as an ensemble too; where the
    others are attacked at a single member, it is at its base model, since no constant can be
    misled. Those of `convergence.longer_conditions` are among the attacks.

    Args:
        run: the run that attacked them.
        epsilon: one of the run's, raw units.
        ensembles: name -> its models; all of as many, and all or none with the base model.

    Returns:
        Name of the attack -> answers to the attacked records.
    """
    shorter = shorter_conditions(run, epsilon=epsilon, ensembles=ensembles)
    return shorter | longer_conditions(run, epsilon=epsilon, ensembles=ensembles)


def shorter_conditions(
    run: Run, *, epsilon: float, ensembles: Ensembles = ENSEMBLES
) -> dict[str, Answers]:
    """The same without the attacks of more steps."""
    logits = {
        ensemble: attacked_logits(run, ensemble, members, epsilon=epsilon)
        for ensemble, members in ensembles.items()
    }
    (ensemble, members), *_ = ensembles.items()
    labels = natural(run, ["base"])[1][stored(run, ensemble, epsilon=epsilon)["positions"]]
    control = control_logits(run, logits[ensemble], members, epsilon=epsilon)
    found = {}
    for name in logits[ensemble]:
        of_each: dict[str, NDArray[np.floating]] = {
            one: under[name] for one, under in logits.items()
        }
        if "base" in members:
            of_each[metrics.CONTROL] = control[name]
        found[name] = Answers(of_each, labels)
    return found


def control_logits(
    run: Run,
    beside: Mapping[str, NDArray[np.floating]],
    members: Sequence[str],
    *,
    epsilon: float,
) -> dict[str, NDArray[np.floating]]:
    """The control's logits (member, record, class) under each attack, by its name.

    Args:
        run: the run that attacked it.
        beside: the same of an ensemble with the base model; nothing is found without that.
        members: the ensemble's.
        epsilon: one of the run's, raw units.
    """
    if "base" not in members:
        return {}
    own, base = stored(run, CONTROL_STAGE, epsilon=epsilon), list(members).index("base")
    found = {}
    for name in beside:
        target = name.split(", ", maxsplit=1)[1]
        alone = f"{name.split(', ', maxsplit=1)[0]}, {BASE}"
        single = target == BASE or target in own_targets(members)
        of_base = beside[alone][base] if single else own[attack_names(members)[name]][0]
        found[name] = metrics.with_constants(of_base.astype(np.float64))
    return found


def stored(run: Run, ensemble: str, *, epsilon: float) -> dict[str, NDArray[np.generic]]:
    """The file of a run's attacks on an ensemble."""
    return load_file(run.obtain(adaptive_name(ensemble, epsilon)).path)


def attacked_logits(
    run: Run, ensemble: str, members: Sequence[str], *, epsilon: float
) -> dict[str, NDArray[np.float64]]:
    """An ensemble's logits (member, record, class) under each attack on it, by its name."""
    file = stored(run, ensemble, epsilon=epsilon)
    return {
        name: file[condition].astype(np.float64)
        for name, condition in attack_names(members).items()
        if condition in file
    }


def attack_names(members: Sequence[str]) -> dict[str, str]:
    """Every attack on an ensemble of these members by its name -> that of its stored condition."""
    own = {BASE: "base", **own_targets(members)}
    return {
        f"{attack.upper()}, {target}": f"{own.get(target, target)}/{attack}"
        for targets in KNOWLEDGE.values()
        for target in targets
        for attack in (*ATTACKS, "apgd")
    }


def own_targets(members: Sequence[str]) -> dict[str, str]:
    """What an attack on each member of an ensemble aims at, as attacks are named -> the member."""
    return {
        BASE if member == "base" else f"member {number}": member
        for number, member in enumerate(members, start=1)
    }


def known_to(attacks: Mapping[str, Answers], *, knowledge: str) -> dict[str, Answers]:
    """Those of the attacks that an attacker with some knowledge has; with `ALL` every one.

    The members of an ensemble without the base model are its own; what was crafted on the base
    model is then no attack on a member.

    Raises:
        ValueError: the knowledge is none of `KNOWLEDGE` and not `ALL`.
    """
    if knowledge == ALL:
        return dict(attacks)
    if knowledge not in KNOWLEDGE:
        raise ValueError(f"knowledge is {knowledge!r}; accepted are {', '.join((*KNOWLEDGE, ALL))}")
    aims = {name: name.split(", ", maxsplit=1)[1] for name in attacks}
    targets = set(KNOWLEDGE[knowledge])
    if knowledge == "each member" and "member 1" in aims.values():
        targets.discard(BASE)  # it is no member where all of them have a number
    return {name: answers for name, answers in attacks.items() if aims[name] in targets}


def smooth_conditions(run: Run, *, epsilon: float) -> dict[str, dict[str, Answers]]:
    """Answers under SAP alone: at the base model, at each member, at every aim, with more steps.

    Returns:
        "base model", "each member", `EVERY_AIM` and, at the largest ε, `MORE_STEPS`, each with all
        before it -> name of the attack -> answers to the attacked records.
    """
    attacks = shorter_conditions(run, epsilon=epsilon)
    smooth = {name: answers for name, answers in attacks.items() if name.startswith("SAP, ")}
    found = {
        BASE: known_to(smooth, knowledge=BASE),
        "each member": known_to(smooth, knowledge="each member"),
        EVERY_AIM: smooth,
    }
    if epsilon == max(epsilons(run)):
        found[MORE_STEPS] = smooth | longer_smooth_conditions(run, epsilon=epsilon)
    return found


def summary(run: Run, *, epsilon: float, ensembles: Ensembles = ENSEMBLES) -> dict[str, Answers]:
    """Answers under the paper's attack, under PGD end to end, and under the strongest per record.

    Arguments as in `conditions`; the names are `PAPER`, `END_TO_END` and `ALL`.
    """
    attacks = conditions(run, epsilon=epsilon, ensembles=ensembles)
    return {
        PAPER: attacks[PAPER],
        END_TO_END: attacks[END_TO_END],
        ALL: fewest_right(attacks),
    }


def knowledge_table(
    run: Run, *, ensembles: Ensembles = ENSEMBLES, at: Sequence[float] | None = None
) -> pandas.DataFrame:
    """What survives by what the attacker knows, each record under the strongest attack known.

    Args:
        run: the run that attacked them.
        ensembles: as in `conditions`.
        at: which ε, raw units; None for all.

    Returns:
        Columns epsilon (raw units), knowledge, ensemble, measure (those of
        `robustness.ensemble_table` and of `answers.RULES`), value, low, high (fractions), records.
    """
    tables = []
    for epsilon in epsilons(run) if at is None else at:
        attacks = conditions(run, epsilon=epsilon, ensembles=ensembles)
        for knowledge in (*KNOWLEDGE, ALL):
            known = known_to(attacks, knowledge=knowledge)
            worst = fewest_right(known)
            members = robustness.ensemble_table(
                worst.correct(), worst.labels, constants=metrics.CONSTANTS
            )
            joined = worst_case_table(known)
            votes = joined[joined.measure.isin(list(RULES))][list(members.columns)]
            both = pandas.concat([members, votes], ignore_index=True)
            condition = {"epsilon": epsilon, "knowledge": knowledge}
            tables.append(both.assign(**condition)[[*condition, *both.columns]])
    return pandas.concat(tables, ignore_index=True)


def strongest_table(run: Run) -> pandas.DataFrame:
    """Which single attack breaks most by P(≥1), beside the strongest of all per record.

    Returns:
        Rows of `worst_case.worst_case_table` for P(≥1), with a column epsilon (raw units) before.
    """
    tables = []
    for epsilon in epsilons(run):
        table = worst_case_table(conditions(run, epsilon=epsilon))
        chosen = selected(table, measure="P(≥1)")
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


def doubt_conditions(
    run: Run, *, epsilon: float, attacks: Sequence[str] = DOUBT
) -> dict[str, Answers]:
    """Answers to all natural test records, and to the attacked ones under some attacks."""
    found = conditions(run, epsilon=epsilon)
    return {"natural": natural_answers(run), **{name: found[name] for name in attacks}}
