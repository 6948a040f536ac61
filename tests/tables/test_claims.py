"""What a run answers to the paper's claim, in words."""

from dnalib import metrics, stages, tables
from dnalib.runs import ComputingRun
from dnalib.tables import claims


def test_the_order_is_that_of_what_is_kept_at_the_largest_epsilon(tiny_run: ComputingRun) -> None:
    epsilon = max(tiny_run.settings.epsilons)
    for attack in stages.ATTACKS:
        condition = {"attack": attack, "padding": "strip", "epsilon": epsilon}
        table = tables.selected(tables.robustness_table(tiny_run), **condition)
        kept = tables.selected(table, measure="P(≥1)").set_index("ensemble").value
        text = claims.order(tiny_run, attack=attack).markdown
        places = [
            text.index(f"{tables.percent(kept[name])} % for {name}")
            for name in kept.index
            if name != metrics.CONTROL
        ]
        names = [name for name in kept.index if name != metrics.CONTROL]
        said = [kept[name] for _, name in sorted(zip(places, names, strict=True))]
        assert said == sorted(said, reverse=True)
        above = [name for name in names if kept[name] > kept[metrics.CONTROL]]
        words = text.split(", with ")[1].removesuffix(" above it.")
        assert words == "none of them" if not above else all(name in words for name in above)


def test_findings_are_means_over_seeds(tiny_run: ComputingRun) -> None:
    epsilon = max(tiny_run.settings.epsilons)
    condition = {"attack": "sap", "padding": "strip", "epsilon": epsilon}
    table = tables.selected(tables.robustness_table(tiny_run), **condition)
    values = table.set_index(["measure", "ensemble"]).value
    alone = claims.findings([tiny_run]).markdown
    for name in stages.ENSEMBLES:
        assert f"{tables.percent(values['P(≥1)', name])} %" in alone
        assert f"{tables.percent(values['P(≥1), class-averaged', name])} % for {name}" in alone
    control = tables.percent(values["P(≥1), class-averaged", metrics.CONTROL])
    assert f"classes alike, it keeps {control} %" in alone
    assert alone.endswith("not the luck of training.")
    twice = claims.findings([tiny_run, tiny_run]).markdown
    assert twice.split(" All these")[0] == alone.split(" The intervals")[0] and "2 seeds" in twice
    assert twice.endswith("and the luck of training.")
