"""Which rivals learnt no more than a constant, and which of their networks leave a class out."""

from collections.abc import Collection

from dnalib import metrics, tables
from dnalib.runs import Run
from dnalib.stages.rivals import rivals_of
from dnalib.tables import Banner, comparisons, percent, rivalry
from dnalib.tables.comparisons import at_the_floor


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
        right = metrics.correct_predictions(rivalry.natural_logits(run, rival), labels)
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
    others = rivals_leaving_out(run, besides=named).values()
    return Banner("\n".join([*lines, *(f"- {words}" for words in others)]))


def rivals_leaving_out(run: Run, *, besides: Collection[str] = ()) -> dict[str, str]:
    """Rivals with networks that never answer some class, unperturbed -> which, in a sentence.

    Of the networks `besides` nothing is said.
    """
    found = {}
    for rival, names in rivals_of(run.settings).items():
        answered = rivalry.natural_logits(run, rival).argmax(axis=-1)  # (network, record)
        others = {
            name: classes
            for name, classes in zip(names, answered, strict=True)
            if name not in besides
        }
        words = comparisons.leaving_out(others)
        if words:
            found[rival] = f"Of the networks of {rival}, {words}"
    return found


def failed(run: Run) -> dict[str, str]:
    """The ensembles that learnt no more than a constant scores -> their accuracy, in %.

    The control, which is not trained as an ensemble, is none of them.
    """
    answers = rivalry.natural_answers(run)
    right = {
        ensemble: predicted == answers.labels
        for ensemble, predicted in answers.predicted("mean softmax").items()
        if ensemble != metrics.CONTROL
    }
    return at_the_floor(right, constant=tables.hits_of_commonest(answers.labels))
