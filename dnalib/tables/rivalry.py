"""The rivals of a run beside its own ensembles: what they answer, share, withstand and cost."""

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import pandas
from numpy.typing import NDArray
from safetensors.numpy import load_file

from dnalib import intervals, losses, metrics, tables
from dnalib.model import FEATURES
from dnalib.runs import Run
from dnalib.stages import ENSEMBLES, SHORT_CLASS_NAMES
from dnalib.stages.costs import COSTS
from dnalib.stages.rivals import (
    RIVAL_EARLIER,
    RIVALS,
    batch_setting,
    natural_name,
    rivals_of,
    trainings_behind,
    trainings_of,
)
from dnalib.tables import (
    INTERVAL_SEED,
    Banner,
    by_names,
    knowledge,
    percent,
    selected,
    with_interval,
)
from dnalib.tables.answers import Answers
from dnalib.tables.comparisons import at_the_floor
from dnalib.tables.knowledge import ALL, Ensembles

# Measures that the costs are set beside, by their names in `knowledge.knowledge_table`.
BOUGHT: Mapping[str, str] = {
    "at least 1": "P(≥1)",
    "mean softmax": "Accuracy of the mean softmax",
}


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
            ends = intervals.bootstrap_interval(hits, seed=INTERVAL_SEED)
            rows[rival, name] = {
                "parameters": f"{size:,}",
                "test accuracy (%)": with_interval(hits.mean(), *ends),
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


def near_the_floor(run: Run) -> Banner:
    """Which ensembles, and which rivals' networks, learnt no more than a constant scores, in words.

    Those that are right, unperturbed, no more often than always answering the commonest class, by
    their paired difference to it; an ensemble by its mean softmax. And which of the other networks
    leave a class out.
    """
    floor, lost = percent(tables.majority_share(run)), failed(run)
    lines = [
        f"- *{ensemble}* is right on {accuracy} % of the unperturbed records; always answering the "
        f"commonest class is right on {floor} %. The ensemble shows no more than that "
        "constant, so its training counts as failed, and what it keeps below does not count as "
        "robustness."
        for ensemble, accuracy in lost.items()
    ]
    _, labels = tables.natural(run, ["base"])
    constant = tables.hits_of_commonest(labels)
    named = {name for rival in lost for name in rivals_of(run.settings).get(rival, ())}
    for rival, names in rivals_of(run.settings).items():
        right = metrics.correct_predictions(natural_logits(run, rival), labels)
        single = at_the_floor(dict(zip(names, right, strict=True)), constant=constant)
        if len(names) > 1 and single and rival not in lost:
            named |= set(single)
            accuracies = ", ".join(f"*{name}* {accuracy} %" for name, accuracy in single.items())
            lines.append(
                f"- Of {rival}'s {len(names)} networks, the following do no better by "
                "themselves than always answering the commonest class, which is right on "
                f"{floor} %: {accuracies}."
            )
    if not lines:
        lines.append("Every ensemble does better than one constant answer.\n")
    others = leaving_out(run, besides=named).values()
    return Banner("\n".join([*lines, *(f"- {words}" for words in others)]))


def leaving_out(run: Run, *, besides: Collection[str] = ()) -> dict[str, str]:
    """Rivals with networks that never answer some class, unperturbed -> which, in a sentence.

    Of the networks `besides` nothing is said.
    """
    found = {}
    for rival, names in rivals_of(run.settings).items():
        answered = natural_logits(run, rival).argmax(axis=-1)  # (network, record)
        clauses = []
        for name, classes in zip(names, answered, strict=True):
            missing = [
                label for number, label in enumerate(SHORT_CLASS_NAMES) if number not in classes
            ]
            if missing and name not in besides:
                clauses.append(f"*{name}* never answers {' or '.join(missing)}")
        if clauses:
            found[rival] = (
                f"Of the networks of {rival}, {tables.in_a_sentence(clauses)} on "
                f"{answered.shape[1]} unperturbed records: part of what such a network adds to "
                "P(≥1) is what a constant adds."
            )
    return found


def failed(run: Run) -> dict[str, str]:
    """The ensembles that learnt no more than a constant scores -> their accuracy, in %.

    The control, which is not trained as an ensemble, is none of them.
    """
    answers = natural_answers(run)
    right = {
        ensemble: predicted == answers.labels
        for ensemble, predicted in answers.predicted("mean softmax").items()
        if ensemble != metrics.CONTROL
    }
    return at_the_floor(right, constant=tables.hits_of_commonest(answers.labels))


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


def costs(run: Run) -> pandas.DataFrame:
    """What the trainings behind each ensemble cost together, networks that it starts from as well.

    Returns:
        Indexed by ensemble, the control among them: seconds, and times (of what cor costs).
        Seconds are those of all threads on CPUs, and by the clock on a GPU; `cost_unit` names them.
    """
    results = run.obtain(COSTS).results
    counted = "processor_seconds" if results["device"] == "cpu" else "seconds"
    of_training = {
        name: cost["steps"] * cost[counted] for name, cost in results["trainings"].items()
    }
    behind = {
        **ENSEMBLES,
        metrics.CONTROL: ("base",),
        **{rival: trainings_behind(rival) for rival in rivals_of(run.settings)},
    }
    seconds = {
        ensemble: sum(of_training[name] for name in names) for ensemble, names in behind.items()
    }
    table = pandas.DataFrame({"seconds": seconds})
    return table.assign(times=table.seconds / table.seconds["cor"])


def cost_unit(run: Run) -> str:
    """What the seconds of `costs` are."""
    device = run.obtain(COSTS).results["device"]
    return "CPU-seconds" if device == "cpu" else "GPU-seconds"


def cost_table(run: Run, known: pandas.DataFrame) -> pandas.DataFrame:
    """`costs` as the chapter shows them, beside what they buy at the middle ε, in %.

    P(≥1) and the accuracy of the mean softmax, each record under the strongest of all attacks;
    `known` as in `bought_at`.
    """
    bought = bought_at(run, known, epsilon=knowledge.middle(run))
    rows = {}
    for ensemble, cost in costs(run).iterrows():
        found = selected(bought, ensemble=ensemble).set_index("name")
        rows[ensemble] = {
            cost_unit(run): f"{cost.seconds:,.0f}",
            "times cor": f"{cost.times:.2f}",
            **{name: with_interval(row.value, row.low, row.high) for name, row in found.iterrows()},
        }
    return tables.with_rows(pandas.DataFrame.from_dict(rows, orient="index"), "ensemble")


def bought_at(run: Run, known: pandas.DataFrame, *, epsilon: float) -> pandas.DataFrame:
    """What each ensemble keeps under the strongest of all attacks per record, beside its cost.

    Args:
        run: whose trainings cost something.
        known: of `knowledge_table`.
        epsilon: one of its ε, raw units.

    Returns:
        Columns ensemble, name (of `BOUGHT`), times (its cost, of what cor costs), value, low, high
        (fractions), records.
    """
    table = selected(known, epsilon=epsilon, knowledge=ALL)
    chosen = table[table.measure.isin(list(BOUGHT))]
    found = chosen.assign(
        name=chosen.measure.map(BOUGHT), times=chosen.ensemble.map(costs(run).times)
    )
    return found[["ensemble", "name", "times", "value", "low", "high", "records"]]


def in_words(run: Run, known: pandas.DataFrame) -> Banner:
    """Which ensemble keeps most at each ε, by each measure of `BOUGHT`, and at what cost.

    The control has no part in it, but is named beside it; nor have ensembles whose training failed.
    `known` as in `bought_at`.
    """
    without = {*failed(run), metrics.CONTROL}
    if without >= set(everyone(run)):
        return Banner(
            "No ensemble learnt more than a constant answer: there is nothing to compare."
        )
    lines = []
    for epsilon in knowledge.epsilons(run):
        bought = bought_at(run, known, epsilon=epsilon)
        for name in BOUGHT.values():
            rows = selected(bought, name=name).set_index("ensemble")
            lines.append(
                f"- **{name}**, ε = {epsilon:g} µV, under the strongest of all attacks on each "
                f"record: {most_kept(rows, without=without)}; the control keeps "
                f"{percent(rows.value[metrics.CONTROL])} %."
            )
    return Banner("\n".join(lines))


def beside_rivals(run: Run) -> str:
    """Which ensemble keeps most of P(≥1) at the middle ε, rivals included, in a sentence."""
    without = {*failed(run), metrics.CONTROL}
    if without >= set(everyone(run)):
        return ""
    epsilon = knowledge.middle(run)
    known = knowledge_table(run, at=[epsilon])
    rows = selected(bought_at(run, known, epsilon=epsilon), name=BOUGHT["at least 1"])
    by_ensemble = rows.set_index("ensemble")
    settings = run.settings
    kept = most_kept(by_ensemble, without=without)
    remarks = [f"{words} " for rival, words in leaving_out(run).items() if f"*{rival}*" in kept]
    return (
        f"Of all methods of [appendix A2](A2_rivals), attacked likewise at ε = {epsilon:g} µV, "
        f"{kept}. {''.join(remarks)}The control of two constants keeps "
        f"{percent(by_ensemble.value[metrics.CONTROL])} %. Adversarial training takes "
        f"{settings.adversarial_steps} gradient steps at ε = {settings.adversarial_epsilon:g} µV "
        "here; more of them cost more."
    )


def most_kept(rows: pandas.DataFrame, *, without: Collection[str]) -> str:
    """Which ensembles keep most, all that keep as much, and what fdec keeps, in words.

    Args:
        rows: of `bought_at`, of one measure, by ensemble.
        without: ensembles that have no part in it.
    """
    trained = rows.drop(list(without))
    best, ours = trained[trained.value == trained.value.max()], rows.loc["fdec"]
    if not best.value.any():
        return "no ensemble keeps any"
    (kept, *_) = best.itertuples()
    names = listed(list(best.index))
    times = tables.in_a_sentence([f"{one:.1f}" for one in best.times])
    return (
        f"most is kept by {names}, {with_interval(kept.value, kept.low, kept.high)} %, for {times} "
        f"times what cor costs to train{next_most(trained.drop(best.index))}; fdec keeps "
        f"{with_interval(ours.value, ours.low, ours.high)} % for {ours.times:.1f} times cor's cost"
    )


def next_most(rows: pandas.DataFrame) -> str:
    """Which of the other ensembles keep most, to go on a sentence in which fdec's share follows.

    Nothing where none keeps any, or where it is fdec.
    """
    following = rows[rows.value == rows.value.max()]
    if not rows.value.any() or "fdec" in following.index:
        return ""
    (kept, *_) = following.itertuples()
    share = with_interval(kept.value, kept.low, kept.high)
    return f", followed by {listed(list(following.index))} with {share} %"
