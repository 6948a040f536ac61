"""Curves, class counts and record lengths are the given numbers."""

import numpy as np
import pandas as pd
import pytest

from dnalib import plots

NAMES = ["N", "A", "O", "~"]


def history(decorrelation=np.nan, epochs=12):
    epoch = np.arange(1, epochs + 1)
    return pd.DataFrame(
        {
            "epoch": epoch,
            "train_loss": 1 / epoch,
            "train_accuracy": 0.9,
            "decorrelation_loss": decorrelation / epoch,
            "test_accuracy": 0.5 + 0.02 * epoch,
        }
    )


def test_ticks_are_at_whole_epochs(drawn):
    for epochs in (3, 4, 14, 200):
        axes = drawn(plots.learning_curves({"base": history(epochs=epochs)})).axes[-1]
        assert all(tick == int(tick) for tick in axes.get_xticks())


def test_curves_are_the_histories(drawn):
    histories = {"base": history(), "cor1": history(), "cor2": history()}
    figure = drawn(plots.learning_curves(histories, majority=0.597))
    loss, accuracy = figure.axes
    assert "(nats)" in loss.get_ylabel() and "(%)" in accuracy.get_ylabel()
    assert "(epochs)" in accuracy.get_xlabel()
    assert [line.get_label() for line in loss.get_lines()] == list(histories)
    for line in loss.get_lines():
        assert line.get_ydata() == pytest.approx(1 / np.arange(1, 13))
    *curves, floor = accuracy.get_lines()
    for line in curves:
        assert line.get_ydata() == pytest.approx(50 + 2 * np.arange(1, 13))
    assert floor.get_ydata() == pytest.approx([59.7, 59.7])
    looks = {(one.get_color(), one.get_linestyle(), one.get_marker()) for one in curves}
    assert len(looks) == 3
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == ["base", "commonest class", "cor1", "cor2"]


def test_the_decorrelation_loss_has_its_panel_where_there_is_one(drawn):
    figure = drawn(plots.learning_curves({"base": history(), "fdec2": history(0.8)}))
    assert len(figure.axes) == 3
    (line,) = figure.axes[2].get_lines()
    assert line.get_label() == "fdec2" and line.get_ydata()[0] == pytest.approx(0.8)
    assert len(figure.axes[1].get_lines()) == 2  # no floor asked for


def test_the_loss_of_chance_is_drawn_among_decorrelation_losses_alone(drawn):
    both = {"base": history(), "dec1": history(0.8)}
    *others, decorrelation = drawn(plots.learning_curves(both, chance=1.002)).axes
    assert decorrelation.get_lines()[-1].get_ydata() == pytest.approx([1.002, 1.002])
    assert [len(axes.get_lines()) for axes in others] == [2, 2]
    alone = drawn(plots.learning_curves({"base": history()}, chance=1.002)).axes
    assert [len(axes.get_lines()) for axes in alone] == [1, 1]


def test_models_of_other_fits_have_other_losses_of_chance(drawn):
    histories = {"parallel": history(1.7), "adversarial-dec1": history(1.1)}
    levels = {"parallel": 1.664, "adversarial-dec1": 1.002}
    lines = drawn(plots.learning_curves(histories, chance=levels)).axes[2].get_lines()
    curves, chance = lines[:2], lines[2:]
    assert [line.get_ydata()[0] for line in chance] == list(levels.values())
    assert [line.get_color() for line in chance] == [line.get_color() for line in curves]
    assert all(line.get_linestyle() == "--" for line in chance)


def test_published_curves_stand_behind_ours_on_a_common_axis(drawn):
    names = {"cor": ["base", "cor1", "cor2"], "fdec": ["base", "fdec1", "fdec2"]}
    ours = {name: history() for name in {name: None for one in names.values() for name in one}}
    theirs = {"fdec1": np.linspace(0.05, 0.85, 200)}
    figure = drawn(
        plots.learning_curves_beside_published(ours, theirs, ensembles=names, majority=0.597)
    )
    assert "(%)" in figure.get_supxlabel() and "(%)" in figure.get_supylabel()
    cor, fdec = figure.axes
    assert [line.get_label() for line in cor.get_lines()] == [*names["cor"], "commonest class"]
    published, *curves, floor = fdec.get_lines()
    assert published.get_label() == "fdec1, published"
    assert published.get_xdata()[[0, -1]] == pytest.approx([0.5, 100])
    assert published.get_ydata() == pytest.approx(100 * theirs["fdec1"])
    for line in curves:
        assert line.get_xdata() == pytest.approx(100 * np.arange(1, 13) / 12)
        assert line.get_ydata() == pytest.approx(50 + 2 * np.arange(1, 13))
        assert line.get_zorder() > published.get_zorder()
    assert floor.get_ydata() == pytest.approx([59.7, 59.7])
    looks = {(one.get_linestyle(), one.get_marker()) for one in (published, *curves)}
    assert len(looks) == 4, "told apart without colour"
    assert "first, published" in [text.get_text() for text in figure.legends[0].get_texts()]
    behind = [{name: history()[:6] for name in ours}]
    panels = drawn(
        plots.learning_curves_beside_published(ours, theirs, ensembles=names, behind=behind)
    ).axes
    lines = {line.get_label(): line for line in panels[1].get_lines()}
    assert lines["fdec2, another seed"].get_xdata() == pytest.approx(100 * np.arange(1, 7) / 6)
    assert lines["fdec2, another seed"].get_zorder() < lines["fdec2"].get_zorder()
    with pytest.raises(ValueError, match="lacks dec1"):
        plots.learning_curves_beside_published(ours, {}, ensembles={"dec": ["base", "dec1"]})


def test_class_counts_draws_shares_and_writes_counts(drawn):
    train, test = [4567, 674, 2186, 248], [509, 84, 229, 31]
    axes = drawn(plots.class_counts(train, test, names=NAMES)).axes[0]
    for bars, counts in zip(axes.containers, (train, test), strict=True):
        heights = [bar.get_height() for bar in bars]
        assert heights == pytest.approx([100 * count / sum(counts) for count in counts])
    written = [text.get_text() for text in axes.texts]
    assert written == [f"{count:,}" for count in train + test]
    assert [label.get_text() for label in axes.get_xticklabels()] == NAMES
    assert "(%)" in axes.get_ylabel()


def test_record_lengths_draws_the_histogram(drawn):
    counts = np.random.default_rng(0).integers(0, 500, (4, 6))
    edges = np.linspace(9, 63, 7)
    figure = drawn(plots.record_lengths(edges, counts, names=NAMES))
    for axes, row in zip(figure.axes, counts, strict=True):
        data = axes.patches[0].get_data()
        assert np.array_equal(data.values, row) and np.array_equal(data.edges, edges)
    assert figure.get_supxlabel() == "Record length (s)"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: plots.learning_curves({}), "empty"),
        (lambda: plots.learning_curves({"x": history()}), "'x' has no style"),
        (lambda: plots.learning_curves({"base": history().drop(columns="epoch")}), "lacks epoch"),
        (lambda: plots.class_counts([1, 2], [1], names=["a", "b"]), r"\(2,\).*\(1,\)"),
        (
            lambda: plots.record_lengths([0, 1], np.ones((2, 2)), names=["a", "b"]),
            r"\(2, 2\).*\(2,\)",
        ),
    ],
)
def test_arguments_that_do_not_fit_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_legend_of_long_names_stays_within_the_figure(drawn):
    names = ["adversarial1", "adversarial2", "adversarial3", "adversarial-dec1", "dverge", "wide"]
    for chosen in (names, ["base", "dec1", "dec2"]):
        histories = {name: history() for name in chosen}
        figure = drawn(plots.learning_curves(histories, majority=0.6))
        extent = figure.legends[0].get_window_extent()
        assert 0 <= extent.x0 and extent.x1 <= figure.bbox.width
