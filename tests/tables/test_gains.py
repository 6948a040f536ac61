"""What constants gain, by hand, and the measures that they cannot win."""

import numpy as np
import pytest
from made_up_answers import made_up, made_up_ensembles

from dnalib import intervals, metrics
from dnalib.tables import gains
from dnalib.tables.answers import Answers

NAMES = ["a", "b", "c"]
CONTROL = metrics.CONTROL


def one_hot(answered, classes=4):
    """Logits of a member or members that give these answers."""
    return 5.0 * np.eye(classes)[np.asarray(answered)]


def value(table, measure, quantity):
    (found,) = table[(table.measure == measure) & (table.quantity == quantity)].value
    return found


@pytest.fixture(scope="module")
def answers():
    skilled = made_up_ensembles(0, skill={"fdec": 2.0, "cor": 1.0}, records=200)
    control = metrics.with_constants(skilled.logits["cor"][0])
    return Answers({**skilled.logits, CONTROL: control}, skilled.labels)


def test_favourites_by_hand():
    labels = [0, 0, 0, 0, 0, 2, 2, 1]
    members = [[0] * 8, [0, 0, 0, 2, 2, 2, 2, 2], [1, 1, 1, 1, 1, 1, 1, 2]]
    table = gains.favourites_table(one_hot(members), labels, names=NAMES, seed=0)
    assert table.index.tolist() == NAMES and table.favourite.tolist() == ["N", "O", "A"]
    assert table.answers.tolist() == [1, 5 / 8, 7 / 8]
    assert table.prior.tolist() == [5 / 8, 2 / 8, 1 / 8]
    assert table.accuracy.tolist() == [5 / 8, 5 / 8, 0]
    assert table.right.tolist()[:2] == [1, 2 / 5] and np.isnan(table.right["c"])
    assert table.class_averaged.tolist() == pytest.approx([1 / 3, (3 / 5 + 1 + 0) / 3, 0])
    # b: chance is (5·3 + 2·5 + 1·0) / 64; c: (5·0 + 2·1 + 1·7) / 64
    kappa = [0, (5 / 8 - 25 / 64) / (1 - 25 / 64), (0 - 9 / 64) / (1 - 9 / 64)]
    assert table.kappa.tolist() == pytest.approx(kappa)


def test_favourites_carry_the_interval_of_kappa():
    logits, labels = made_up(4, records=120)
    table = gains.favourites_table(logits, labels, names=NAMES, seed=6)
    predicted = logits[1].argmax(axis=-1)
    _, low, high = intervals.resampled_records(
        lambda drawn: metrics.cohens_kappa(predicted[drawn], labels[drawn]), records=120, seed=6
    )
    assert (table.low["b"], table.high["b"]) == (low, high) and low < table.kappa["b"] < high


def test_kappa_is_that_of_scikit_learn():
    sklearn = pytest.importorskip("sklearn.metrics", reason="scikit-learn is not installed")
    logits, labels = made_up(5, records=90)
    table = gains.favourites_table(logits, labels, names=NAMES, seed=0)
    for name, predicted in zip(NAMES, logits.argmax(axis=-1), strict=True):
        expected = sklearn.cohen_kappa_score(labels, predicted)
        assert table.kappa[name] == pytest.approx(expected)


def test_measures_are_those_of_the_ensembles(answers):
    table = gains.remaining_gain(answers, seed=0)
    for ensemble, logits in answers.logits.items():
        correct = metrics.correct_predictions(logits, answers.labels)
        one = correct.any(axis=0)
        mean = metrics.mean_softmax_prediction(logits)
        vote = metrics.majority_vote(logits)
        kappas = [metrics.cohens_kappa(member.argmax(-1), answers.labels) for member in logits]
        expected = {
            "P(≥1)": one.mean(),
            "P(≥1), class-averaged": np.mean([one[answers.labels == c].mean() for c in range(4)]),
            "average accuracy": correct.mean(),
            "average kappa": np.mean(kappas),
            "majority vote": (vote == answers.labels).mean(),
            "mean softmax": (mean == answers.labels).mean(),
            "mean softmax, F1": metrics.challenge_f1(mean, answers.labels),
        }
        rows = table[table.quantity == ensemble].set_index("measure")
        assert rows.value.to_dict() == pytest.approx(expected)
        assert (rows.low <= rows.value).all() and (rows.value <= rows.high).all()


def test_differences_add_up_and_are_paired(answers):
    table = gains.remaining_gain(answers, seed=3)
    quantities = ["fdec", "cor", CONTROL, "fdec − cor", f"{CONTROL} − cor", f"fdec − ({CONTROL})"]
    assert table.quantity.tolist() == 7 * quantities and set(table.records) == {200}
    wide = table.pivot(index="measure", columns="quantity", values="value")
    assert wide["fdec − cor"].to_numpy() == pytest.approx((wide["fdec"] - wide["cor"]).to_numpy())
    beyond = wide["fdec − cor"] - wide[f"{CONTROL} − cor"]
    assert wide[f"fdec − ({CONTROL})"].to_numpy() == pytest.approx(beyond.to_numpy())
    first, second = (
        metrics.correct_predictions(answers.logits[name], answers.labels).any(axis=0)
        for name in ("fdec", "cor")
    )
    row = table[(table.measure == "P(≥1)") & (table.quantity == "fdec − cor")].iloc[0]
    expected = intervals.paired_difference(first, second)
    assert (row.value, row.low, row.high) == pytest.approx(expected)


def test_constants_gain_by_p_at_least_one_alone():
    # Every member of cor is wrong everywhere, as is the base model: the control has its constants.
    labels = np.repeat([0, 1, 2, 3], [10, 4, 5, 1])
    wrong = (labels + 1) % 4
    logits = {"cor": one_hot([wrong] * 3), CONTROL: one_hot([wrong, labels * 0, labels * 0 + 2])}
    answers = Answers({**logits, "fdec": one_hot([labels] * 3)}, labels)
    table = gains.remaining_gain(answers, seed=0)
    gain = f"{CONTROL} − cor"
    assert value(table, "P(≥1)", gain) == pytest.approx((10 + 5) / 20)
    assert value(table, "P(≥1), class-averaged", gain) == pytest.approx(2 / 4)
    assert value(table, "average accuracy", gain) == pytest.approx((10 + 5) / 20 / 3)
    # Constants have a kappa of 0; that of the base model is below it.
    below = metrics.cohens_kappa(wrong, labels)
    assert below < 0
    assert value(table, "average kappa", CONTROL) == pytest.approx(below / 3)
    assert value(table, "average kappa", "fdec") == 1
    assert value(table, "P(≥1)", f"fdec − ({CONTROL})") == pytest.approx((4 + 1) / 20)


@pytest.mark.parametrize("argument", ["first", "second", "control"])
def test_an_ensemble_that_is_not_there_is_refused(answers, argument):
    with pytest.raises(ValueError, match=f"{argument} is 'dec'; accepted are fdec, cor, base"):
        gains.remaining_gain(answers, **{argument: "dec"}, seed=0)


@pytest.mark.parametrize(
    ("logits", "labels", "message"),
    [
        (np.zeros((2, 5, 4)), np.zeros(5, int), "names has 3 and logits 2 members"),
        (np.zeros((5, 4)), np.zeros(5, int), r"logits has shape \(5, 4\)"),
        (np.zeros((3, 5, 4)), np.zeros(6, int), r"\(3, 5, 4\).*\(6,\)"),
    ],
)
def test_favourites_of_what_does_not_fit_are_refused(logits, labels, message):
    with pytest.raises(ValueError, match=message):
        gains.favourites_table(logits, labels, names=NAMES, seed=0)


def test_votes_in_the_worst_case_are_those_that_every_attack_leaves(answers):
    votes = {
        name: {"majority vote": hits["majority vote"] & False, "mean softmax": hits["mean softmax"]}
        for name, hits in answers.indicators().items()
    }
    table = gains.remaining_gain(answers, votes=votes, seed=0)
    before = gains.remaining_gain(answers, seed=0)
    same = table.measure != "majority vote"
    assert table[same].equals(before[same])
    assert (table[~same].value == 0).all() and (before[~same].value != 0).any()


def test_own_classes_have_favourites_by_name_and_no_f1_of_the_challenge():
    labels = np.array([0, 4, 4, 1])
    logits = one_hot([[0, 4, 4, 0], [1, 1, 1, 1], [4, 4, 4, 1]], classes=5)
    names = ["v", "w", "x", "y", "z"]
    table = gains.favourites_table(logits, labels, names=NAMES, class_names=names, seed=0)
    assert table.favourite.tolist() == ["v", "w", "z"]
    assert table.class_averaged.tolist() == pytest.approx([2 / 3, 1 / 3, 2 / 3])
    with pytest.raises(ValueError, match="labels holds 1 to 5; class indices are 0 to 4"):
        gains.favourites_table(logits, labels + 1, names=NAMES, class_names=names, seed=0)
    answers = Answers({"own": logits, "other": logits[::-1]}, labels)
    gain = gains.remaining_gain(answers, first="own", second="other", control="other", seed=0)
    assert "mean softmax" in set(gain.measure) and "mean softmax, F1" not in set(gain.measure)
    assert value(gain, "P(≥1), class-averaged", "own") == 1


def test_scores_follow_their_seed_and_shares_need_none() -> None:
    hits = np.arange(50) % 3
    ends = [
        gains.Score(lambda drawn: hits[drawn].mean(axis=-1), 50, seed).interval()
        for seed in (1, 1, 2)
    ]
    assert ends[0] == ends[1] != ends[2]
