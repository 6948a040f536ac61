"""What the result figures show is what the tables hold."""

import io

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from dnalib import plots
from dnalib.plots.results import NATURAL_MEASURES
from dnalib.plots.style import ENSEMBLES, RIVALS, ensemble_series, model_series, spaced
from dnalib.stages import rivals as stages
from dnalib.tables import robustness

MEASURES = ["average", "P(≥1)", "P(≥2)", "P(≥3)"]
ALL = list(ENSEMBLES)


@pytest.fixture(scope="module")
def tables():
    random = np.random.default_rng(0)
    labels = random.integers(0, 4, 200)
    one = {name: random.random((3, 200)) < 0.5 for name in ALL}
    conditions = {
        (attack, padding, epsilon): {name: random.random((3, 200)) < 0.5 for name in ALL}
        for attack in ("PGD", "SAP")
        for padding in ("strip", "mask")
        for epsilon in (150, 10, 50)  # not in order: the figure sorts
    }
    return (
        robustness.ensemble_table(one, labels),
        robustness.robustness_table(conditions, labels),
    )


def rows(table, **values):
    for column, value in values.items():
        table = table[table[column] == value]
    return table


def test_robustness_draws_the_table(drawn, tables):
    published = {("fdec", "P(≥1)", 150): 0.772, ("cor", "P(≥1)", 10): 0.9}
    figure = drawn(
        plots.robustness(tables[1], attack="SAP", padding="mask", published=published, majority=0.6)
    )
    assert "(µV)" in figure.get_supxlabel() and "(%)" in figure.get_supylabel()
    for axes, measure in zip(figure.axes, MEASURES, strict=True):
        lines = {line.get_label(): line for line in axes.get_lines()}
        for name, band in zip(ALL, axes.collections, strict=True):
            part = rows(tables[1], attack="SAP", padding="mask", measure=measure, ensemble=name)
            part = part.sort_values("epsilon")
            assert list(lines[name].get_xdata()) == [10, 50, 150]
            assert lines[name].get_ydata() == pytest.approx(100 * part.value.to_numpy())
            corners = {tuple(np.round(point, 6)) for point in band.get_paths()[0].vertices}
            for _, row in part.iterrows():
                assert (row.epsilon, round(100 * row.low, 6)) in corners
                assert (row.epsilon, round(100 * row.high, 6)) in corners
        stars = {name: line for name, line in lines.items() if name.endswith("published")}
        if measure == "P(≥1)":
            assert stars["fdec, published"].get_ydata() == pytest.approx([77.2])
            assert list(stars["cor, published"].get_xdata()) == [10]
            assert [text.get_text() for text in axes.texts] == ["fdec", "cor"]
        else:
            assert not stars
        assert len(lines) == len(ALL) + len(stars) + 1  # and the floor
    assert figure.legends[0].get_title().get_text() == "200 records; shaded: 95 % intervals"


def test_natural_accuracy_draws_the_table(drawn, tables):
    figure = drawn(plots.natural_accuracy(tables[0], majority=0.597))
    axes = figure.axes[0]
    assert "(%)" in axes.get_ylabel()
    assert len(axes.containers) == len(ALL)
    for name, bars in zip(ALL, axes.containers, strict=True):
        part = rows(tables[0], ensemble=name)
        part = part[part.measure.isin(list(NATURAL_MEASURES))]
        points, _, (intervals,) = bars.lines
        assert points.get_ydata() == pytest.approx(100 * part.value.to_numpy())
        ends = np.array(intervals.get_segments())[:, :, 1]  # (measure, low and high)
        assert ends == pytest.approx(100 * part[["low", "high"]].to_numpy())
        assert np.round(points.get_xdata()).tolist() == [0, 1, 2, 3, 4]
    floors = [line.get_ydata() for line in axes.get_lines() if line.get_linestyle() == ":"]
    assert np.allclose(floors, np.repeat([[59.7]] * 4 + [[25]], 2, axis=1))  # of four classes


def test_other_seeds_stand_lightly_behind_each_line(drawn, tables):
    other = tables[1].assign(value=tables[1].value / 2)
    figure = drawn(plots.robustness(tables[1], attack="SAP", padding="mask", behind=[other]))
    for axes, measure in zip(figure.axes, MEASURES, strict=True):
        lines = {line.get_label(): line for line in axes.get_lines()}
        for name in ALL:
            light = lines[f"{name}, another seed"]
            assert light.get_ydata() == pytest.approx(lines[name].get_ydata() / 2), measure
            assert light.get_alpha() < 0.5 and light.get_zorder() < lines[name].get_zorder()
        assert len(axes.collections) == len(ALL), "no band of another seed"


def test_other_seeds_stand_lightly_behind(drawn, tables):
    other = tables[0].assign(value=tables[0].value - 0.1)
    alone = drawn(plots.natural_accuracy(tables[0])).axes[0]
    axes = drawn(plots.natural_accuracy(tables[0], behind=[other, other])).axes[0]
    light = [line for line in axes.get_lines() if line.get_label().endswith("another seed")]
    assert len(light) == 2 * len(ALL) and len(axes.containers) == len(alone.containers)
    for name, bars in zip(ALL, axes.containers, strict=True):
        ours = bars.lines[0]
        theirs = next(line for line in light if line.get_label() == f"{name}, another seed")
        assert theirs.get_ydata() == pytest.approx(ours.get_ydata() - 10)
        assert theirs.get_color() == ours.get_color() and theirs.get_marker() == ours.get_marker()
        assert theirs.get_alpha() < 0.5 and theirs.get_zorder() < ours.get_zorder()


def test_ticks_are_at_the_bounds_of_the_table(drawn, tables):
    other = tables[1].assign(epsilon=tables[1].epsilon / 5)  # 2, 10 and 30 µV
    for axes in drawn(plots.robustness(other, attack="PGD", padding="mask")).axes:
        assert axes.get_xticks().tolist() == [2, 10, 30]


def test_intervals_at_a_single_bound_are_bars(drawn, tables):
    one = rows(tables[1], epsilon=50)
    figure = drawn(plots.robustness(one, attack="SAP", padding="mask"))
    assert "bars: 95 %" in figure.legends[0].get_title().get_text()
    for axes, measure in zip(figure.axes, MEASURES, strict=True):
        part = rows(one, attack="SAP", padding="mask", measure=measure)
        ends = [bar.get_segments()[0][:, 1] for bar in axes.collections]
        assert np.array(ends) == pytest.approx(100 * part[["low", "high"]].to_numpy())
    assert (part.low < part.high).all()


def test_ticks_too_near_to_be_read_are_left_out():
    assert spaced([150, 10, 50, 75, 100], share=0.2) == [10, 50, 100, 150]
    assert spaced([1, 2, 3, 98, 100], share=0.2) == [1, 100]
    assert spaced([50, 50], share=0.2) == [50]


def test_r_squared_diagram_writes_both_directions_beside_the_published(drawn):
    ours = {
        name: np.array([[1.0, 0.12, 0.11], [0.62, 1.0, 0.09], [0.77, 0.15, 1.0]])
        for name in ("cor", "dec", "fcor", "fdec")
    }
    theirs = {**ours, "cor": np.ones((3, 3))}
    names = {name: ["base", f"{name}1", f"{name}2"] for name in ours}
    figure = drawn(plots.r_squared_diagram({"ours": ours, "theirs": theirs}, names=names))
    for axes, cor in zip(figure.axes, ("↑ 0.11\n↓ 0.77", "↑ 1.00\n↓ 1.00"), strict=True):
        texts = [text.get_text() for text in axes.texts]
        assert texts.count("base") == 1 and {"cor1", "dec2", "fdec2"} <= set(texts)
        assert texts[1] == cor, "base to cor2 points up, the way back down"
        lines = {line.get_label(): line for line in axes.get_lines()}
        assert len(lines) == 12 and len(axes.patches) == 4
        boxes = [text.get_bbox_patch().get_window_extent() for text in axes.texts]
        frame = figure.get_window_extent()
        for place, box in enumerate(boxes):
            assert frame.x0 <= box.x0 and box.x1 <= frame.x1
            assert not any(box.overlaps(other) for other in boxes[place + 1 :]), texts[place]
    widths = [axes.get_lines()[2].get_linewidth() for axes in figure.axes]
    assert widths[0] < widths[1]


def test_differences_draws_the_tables(drawn):
    random = np.random.default_rng(0)

    def table(against):
        rows = [
            (name, against, epsilon, value, value - 0.1, value + 0.05, 200)
            for name in ("dec", "fdec", "base + constants")
            for epsilon, value in zip((50.0, 10.0), random.random(2) - 0.5, strict=True)
        ]
        columns = ["ensemble", "against", "epsilon", "value", "low", "high", "records"]
        return pd.DataFrame(rows, columns=columns)

    both = {"PGD": table("cor"), "SAP": table("cor")}
    figure = drawn(plots.differences(both, measure="P(≥1)"))
    assert "(points)" in figure.get_supylabel() and "cor" in figure.get_supylabel()
    assert "(µV)" in figure.get_supxlabel()
    for axes, drawn_table in zip(figure.axes, both.values(), strict=True):
        *lines, zero = axes.get_lines()
        assert list(zero.get_ydata()) == [0, 0]
        for line, band in zip(lines, axes.collections, strict=True):
            part = rows(drawn_table, ensemble=line.get_label()).sort_values("epsilon")
            assert list(line.get_xdata()) == [10, 50]
            assert line.get_ydata() == pytest.approx(100 * part.value.to_numpy())
            heights = band.get_paths()[0].vertices[:, 1]
            assert heights.min() == pytest.approx(100 * part.low.min())
            assert heights.max() == pytest.approx(100 * part.high.max())
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == ["dec − cor", "fdec − cor", "base + constants − cor"]
    others = [{"PGD": table("cor"), "SAP": table("cor")}]
    for axes, theirs in zip(
        drawn(plots.differences(both, measure="P(≥1)", behind=others)).axes,
        others[0].values(),
        strict=True,
    ):
        lines = {line.get_label(): line for line in axes.get_lines()}
        part = rows(theirs, ensemble="fdec").sort_values("epsilon")
        assert lines["fdec, another seed"].get_ydata() == pytest.approx(100 * part.value.to_numpy())
        assert lines["fdec, another seed"].get_zorder() < lines["fdec"].get_zorder()
    assert "200 records" in figure.legends[0].get_title().get_text()
    for wrong, message in (
        ({}, "empty"),
        ({"PGD": table("cor")[:0]}, "'PGD'.*no row"),
        ({"PGD": table("cor").drop(columns="low")}, "lacks low"),
        ({"PGD": table("cor"), "SAP": table("dec")}, "cor, dec"),
    ):
        with pytest.raises(ValueError, match=message):
            plots.differences(wrong, measure="P(≥1)")


def test_confusion_matrices_writes_counts_and_shades_shares(drawn):
    counts = np.array([[90, 10, 0], [5, 5, 0], [0, 0, 0]])
    figure = drawn(
        plots.confusion_matrices({"cor": counts, "dec": counts.T}, names=["N", "A", "O"])
    )
    first = figure.axes[0]
    assert [int(text.get_text()) for text in first.texts] == counts.ravel().tolist()
    expected = [[90, 10, 0], [50, 50, 0], [0, 0, 0]]
    assert np.asarray(first.images[0].get_array()) == pytest.approx(np.array(expected))
    assert "True" in figure.get_supylabel() and "records" in figure.get_supxlabel()
    assert "(%)" in figure.axes[-1].get_ylabel()  # the colour bar


def test_ensembles_differ_in_marker_line_and_colour():
    for field in ("colour", "marker", "line"):
        assert len({getattr(series, field) for series in ENSEMBLES.values()}) == len(ENSEMBLES)
    control = ensemble_series("base + constants")
    red, green, blue = (int(to_hex(control.colour)[i : i + 2], 16) for i in (1, 3, 5))
    assert red == green == blue and control.line == "--"
    for field in ("colour", "marker"):
        every = [getattr(series, field) for series in (ENSEMBLES | RIVALS).values()]
        assert len(set(every)) == len(every) == 10
    assert set(RIVALS) == set(stages.RIVALS)


def test_models_have_their_ensembles_look_and_a_line_for_their_number():
    assert model_series("fdec1").line != model_series("fdec2").line
    numbered = [model_series(f"adversarial{number}") for number in (1, 2, 3)]
    assert len({str(series.line) for series in numbered}) == 3
    assert {series.colour for series in numbered} == {ensemble_series("adversarial").colour}
    second = model_series("adversarial-dec2")
    assert second.marker == ensemble_series("adversarial dec").marker
    assert second.line == model_series("fdec2").line
    assert model_series("dverge").line == "-"
    for name in ("adversarial4", "bagging1", "cor12"):
        with pytest.raises(ValueError, match=f"'{name}' has no style"):
            model_series(name)


def test_a_notebook_can_show_a_figure_that_pyplot_does_not_hold(tables):
    figure = plots.natural_accuracy(tables[0])
    assert figure._repr_png_().startswith(b"\x89PNG")
    written = io.BytesIO()
    figure.savefig(written, format="pdf")
    assert written.getvalue().startswith(b"%PDF")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda t: plots.robustness(t, attack="FGSM", padding="mask"), "no 'FGSM'.*'PGD'"),
        (lambda t: plots.natural_accuracy(t), "two rows"),
        (
            lambda t: plots.natural_accuracy(t[:1].assign(ensemble="bagging")),
            "'bagging' has no style",
        ),
        (lambda t: plots.confusion_matrices({}, names=["N"]), "empty"),
        (lambda t: plots.confusion_matrices({"a": np.ones((2, 3))}, names=["N"]), r"\(2, 3\)"),
        (lambda t: plots.r_squared_diagram({}, names={}), "empty"),
        (
            lambda t: plots.r_squared_diagram({"ours": {"cor": np.ones((3, 3))}}, names={}),
            "0 names",
        ),
        (
            lambda t: plots.r_squared_diagram(
                {"ours": dict.fromkeys(("cor", "dec"), np.ones((3, 3)))},
                names={"cor": ["base", "a", "b"], "dec": ["other", "c", "d"]},
            ),
            "base, other",
        ),
        (
            lambda t: plots.r_squared_diagram(
                {"ours": dict.fromkeys("abcde", np.ones((3, 3)))}, names={}
            ),
            "5 ensembles",
        ),
    ],
)
def test_arguments_that_do_not_fit_are_refused(tables, call, message):
    table = tables[1]
    with pytest.raises(ValueError, match=message):
        call(pd.DataFrame(table))
