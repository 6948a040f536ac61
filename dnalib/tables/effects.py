"""What it changes that text, code and this book differ: tables for the page on reproduction."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file

from dnalib import losses, metrics, published, tables
from dnalib.runs import Run
from dnalib.stages import ENSEMBLES, MEMBERS
from dnalib.stages.effects import FIT_EFFECT, STEPS_EFFECT, SWAP_EFFECT, SWAPPED_MEMBER
from dnalib.tables.answers import answers_of

CHANCE = ((64, 32), (80, 50))  # records of a batch, columns of the projection
CHANCE_DRAWS = 40
TEXT_STEPS = 20  # of both attacks
CODE_STEPS = (20, 40)  # of PGD, and of SAP after it


def write_effects(run: Run, path: Path) -> None:
    """Write every table, each between marks that carry its name, for a page to include."""
    parts = [
        f"<!-- {name} -->\n{rendered(make(run))}\n<!-- end of {name} -->\n"
        for name, make in EFFECTS.items()
    ]
    path.write_text("\n".join(parts))


def rendered(table: pandas.DataFrame) -> str:
    """A table in Markdown, its numbers as they are written in it."""
    return table.to_markdown(disable_numparse=True)


def fit(run: Run) -> pandas.DataFrame:
    """R² by the paper's formula and by the authors' code."""
    rows = [
        {
            "regressor → regressand": f"{pair['regressor']} → {pair['regressand']}",
            "R², text (uncentred)": tables.decimals(pair["text"]),
            "R², code (centred)": tables.decimals(pair["code"]),
        }
        for pair in run.obtain(FIT_EFFECT).results["pairs"]
    ]
    return pandas.DataFrame(rows).set_index("regressor → regressand")


def steps(run: Run) -> pandas.DataFrame:
    """What is still right under SAP at the largest ε, by the steps taken."""
    settings, epsilon = run.settings, max(run.settings.epsilons)
    whole, labels = tables.attacked(run, attack="sap", padding="strip", epsilon=epsilon)
    short = load_file(run.obtain(STEPS_EFFECT).path)
    names = step_names(settings.pgd_steps, settings.sap_steps)
    conditions = dict(zip(names, (whole, short["after PGD"], short["alone"]), strict=True))
    return still_right(conditions, labels, name="steps")


def step_names(pgd_steps: int, sap_steps: int) -> tuple[str, str, str]:
    """What to call SAP as the run takes it, with PGD's number of steps, and without PGD before.

    Steps are called those of the paper's text, or of its authors' code, only where they are. The
    first two are the same attack, and have the same name, where both numbers are the same.
    """
    code = " (code)" if (pgd_steps, sap_steps) == CODE_STEPS else ""
    text = " (text)" if pgd_steps == TEXT_STEPS else ""
    return (
        f"{pgd_steps} of PGD + {sap_steps} of SAP{code}",
        f"{pgd_steps} of PGD + {pgd_steps} of SAP",
        f"{pgd_steps} of SAP alone{text}",
    )


def padding(run: Run) -> pandas.DataFrame:
    """What is still right at the largest ε, by where the perturbation may be."""
    epsilon = max(run.settings.epsilons)
    conditions = {}
    for attack in ("pgd", "sap"):
        for mode in ("strip", "mask"):
            logits, labels = tables.attacked(run, attack=attack, padding=mode, epsilon=epsilon)
            conditions[f"{attack.upper()}, {mode}"] = logits
    return still_right(conditions, labels, name="attack")


def still_right(
    conditions: dict[str, np.ndarray], labels: np.ndarray, *, name: str
) -> pandas.DataFrame:
    """The base model's accuracy and P(≥1) of the ensembles and the control in %, a row a condition.

    Args:
        conditions: logits (member, record, class) by the row's name.
        labels: (record,).
        name: of the rows.
    """
    rows = {}
    for condition, logits in conditions.items():
        hits = answers_of(logits.astype(np.float64), labels).correct()
        rows[condition] = {"base right (%)": tables.percent(hits["cor"][0].mean())} | {
            f"P(≥1), {ensemble} (%)": at_least_one(right) for ensemble, right in hits.items()
        }
    return pandas.DataFrame.from_dict(rows, orient="index").rename_axis(name)


def at_least_one(right: np.ndarray) -> str:
    """P(≥1) in % of the answers (member, record) that are right."""
    return tables.percent(metrics.at_least(right, members=1))


def kept_epoch(run: Run) -> pandas.DataFrame:
    """Test accuracy in % of the last epoch and of the best one, chosen on the test records."""
    curves = {member: tables.history(run, member).test_accuracy for member in MEMBERS}
    rows = {
        member: {"last epoch (%)": 100 * curve.iloc[-1], "best epoch (%)": 100 * curve.max()}
        for member, curve in curves.items()
    }
    table = pandas.DataFrame.from_dict(rows, orient="index").rename_axis("model")
    table.loc["mean"] = table.mean()
    table["gain of the choice (points)"] = table.iloc[:, 1] - table.iloc[:, 0]
    return table.map("{:.1f}".format)


def swap(run: Run) -> pandas.DataFrame:
    """The third member of dec, trained with terms drawn anew and with a swap that persists."""
    epsilon = max(run.settings.epsilons)
    artefact = run.obtain(SWAP_EFFECT)
    swapped = {name: value.astype(np.float64) for name, value in load_file(artefact.path).items()}
    natural, labels = tables.natural(run, [SWAPPED_MEMBER])
    attacked, attacked_labels = tables.attacked(run, attack="sap", padding="strip", epsilon=epsilon)
    place = MEMBERS.index(SWAPPED_MEMBER)
    with_swap = attacked.copy()
    with_swap[place] = swapped["sap"]
    earlier = ENSEMBLES["dec"][:2]
    ours = tables.r_squared(run, "dec")
    shared = artefact.results["r_squared"]
    variants: dict[
        str, tuple[NDArray[np.floating], NDArray[np.floating], Sequence[float], Sequence[float]]
    ] = {
        "drawn anew (here)": (natural[0], attacked, ours[:2, 2].tolist(), ours[2, :2].tolist()),
        "swap persists": (
            swapped["natural"],
            with_swap,
            [shared[name]["predicts it"] for name in earlier],
            [shared[name]["is predicted"] for name in earlier],
        ),
    }
    rows = {}
    for variant, (logits, under_attack, predicted, predicts) in variants.items():
        hits = metrics.correct_predictions(logits[None], labels)
        right = answers_of(under_attack, attacked_labels).correct()
        rows[variant] = {
            f"test accuracy of {SWAPPED_MEMBER} (%)": tables.percent(hits.mean()),
            **{
                f"R², {name} → {SWAPPED_MEMBER}": tables.decimals(value)
                for name, value in zip(earlier, predicted, strict=True)
            },
            **{
                f"R², {SWAPPED_MEMBER} → {name}": tables.decimals(value)
                for name, value in zip(earlier, predicts, strict=True)
            },
            f"P(≥1) of dec, SAP, ε = {epsilon:g} µV (%)": at_least_one(right["dec"]),
            f"P(≥1) of {metrics.CONTROL} (%)": at_least_one(right[metrics.CONTROL]),
        }
    return pandas.DataFrame.from_dict(rows, orient="index").rename_axis("regressor and regressand")


def chance(run: Run) -> pandas.DataFrame:
    """R² of features that share nothing, by the size of the batch and of the projection."""
    generator = torch.Generator().manual_seed(0)
    rows = []
    for records, columns in CHANCE:
        pairs = torch.randn(CHANCE_DRAWS, 2, records, 64, generator=generator, dtype=torch.float64)
        plain = [losses.r_squared(x[:, :columns], y) for x, y in pairs]
        adjusted = [losses.adjusted_r_squared(x[:, :columns], y) for x, y in pairs]
        rows.append(
            {
                "records": records,
                "columns of the regressor": columns,
                "mean R²": tables.decimals(np.mean(plain)),
                "mean adjusted R²": tables.decimals(np.mean(adjusted)),
            }
        )
    return pandas.DataFrame(rows).set_index("records")


def direction(run: Run) -> pandas.DataFrame:
    """R² between base model and second member, both ways, here and in the published features."""
    rows = {}
    for ensemble, members in ENSEMBLES.items():
        ours, theirs = tables.r_squared(run, ensemble), published.R_SQUARED[ensemble]
        rows[members[1]] = {
            "paper: predicted by base": tables.decimals(theirs[0][1]),
            "paper: predicts base": tables.decimals(theirs[1][0]),
            "here: predicted by base": tables.decimals(ours[0, 1]),
            "here: predicts base": tables.decimals(ours[1, 0]),
        }
    return pandas.DataFrame.from_dict(rows, orient="index").rename_axis("member")


def floor(run: Run) -> pandas.DataFrame:
    """The commonest class's share, and how far a share near one half is off by chance."""
    labels = tables.natural(run, ["base"])[1]
    half = 1.96 * np.sqrt(0.25 / len(labels))
    rows = {
        "test records": f"{len(labels):,}",
        "always the commonest class (%)": tables.percent(tables.majority_share(run)),
        "95 % interval of a share near one half (points)": f"±{100 * half:.1f}",
    }
    return pandas.DataFrame({"here": rows}).rename_axis("")


def control(run: Run) -> pandas.DataFrame:
    """P(≥1) and its average over classes in % under SAP at the largest ε, with the control."""
    epsilon = max(run.settings.epsilons)
    table = tables.selected(
        tables.robustness_table(run, paddings=["strip"]), attack="sap", epsilon=epsilon
    )
    measures = ["P(≥1)", "P(≥1), class-averaged"]
    found = tables.wide(table[table.measure.isin(measures)], columns="measure")
    return found.rename_axis("ensemble")


EFFECTS: dict[str, Callable[[Run], pandas.DataFrame]] = {
    "fit": fit,
    "steps": steps,
    "padding": padding,
    "kept epoch": kept_epoch,
    "swap": swap,
    "chance": chance,
    "direction": direction,
    "floor": floor,
    "control": control,
}
