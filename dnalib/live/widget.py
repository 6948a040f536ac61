"""The attack bench as a widget: controls, a line that says what goes on, a picture, a table."""

import base64
from html import escape

import ipywidgets

from dnalib import plots, stages
from dnalib.live.attack import Answer, AttackBench, Question, probability_table

SECONDS = 3.0  # of ECG that are drawn, in the middle of the record
ATTACKS = [("PGD: every sample on its own", "pgd"), ("SAP: smooth", "sap")]
PADDINGS = [
    ("stripped from the padding at the end (the paper's)", "strip"),
    ("held to the record at every step", "mask"),
]
WIDE = {"description_width": "5em"}
TABLE = """<style>
.attack-table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
.attack-table caption { max-width: 36em; text-align: left; line-height: 1.4; padding: 0.5em; }
.attack-table th, .attack-table td { padding: 0 0.6em; line-height: 1.7; text-align: left; }
.attack-table tbody th[rowspan] { vertical-align: top; }
.attack-table tr:has(th[rowspan]) { border-top: 1px solid currentColor; }
</style>"""


class AttackExplorer(ipywidgets.VBox):
    """Controls for a `Question`; each change is answered at once, by the kernel.

    Args:
        bench: computes the answers; its first example is shown first.
    """

    def __init__(self, bench: AttackBench) -> None:
        self.bench = bench
        layout = ipywidgets.Layout(width="32em", max_width="100%")
        options = {"style": WIDE, "layout": layout}
        self.record = ipywidgets.Combobox(
            value=bench.examples[0],
            options=bench.examples,
            ensure_option=False,  # the examples are suggestions; every record's name will do
            continuous_update=False,
            description="record",
            placeholder=f"such as {bench.examples[0]}",
            **options,
        )
        self.attack = ipywidgets.Dropdown(options=ATTACKS, description="attack", **options)
        self.epsilon = ipywidgets.IntSlider(
            value=50,
            min=5,
            max=200,
            step=5,
            continuous_update=False,
            description="ε (µV)",
            **options,
        )
        self.padding = ipywidgets.Dropdown(options=PADDINGS, description="change is", **options)
        self.status = ipywidgets.HTML()
        self.picture = ipywidgets.HTML()
        self.table = ipywidgets.HTML()
        controls = [self.record, self.attack, self.epsilon, self.padding]
        answer = ipywidgets.Box(
            [self.picture, self.table], layout=ipywidgets.Layout(flex_flow="row wrap")
        )
        super().__init__([*controls, self.status, answer])
        for control in controls:
            control.observe(self._refresh, names="value")
        self._refresh()

    def question(self) -> Question:
        """What the controls ask."""
        return Question(
            record=self.record.value.strip(),
            attack=self.attack.value,
            epsilon=float(self.epsilon.value),
            padding=self.padding.value,
        )

    def _refresh(self, _change: object = None) -> None:
        """Answer what the controls ask now."""
        self.status.value = _status("Computing …")
        self.epsilon.disabled = True  # a held arrow key would ask faster than a CPU answers
        try:
            answer = self.bench.answer(self.question())
            picture, table = _picture(answer, rate=self.bench.settings.rate), _table(answer)
        # Whatever it is, the reader is told: an exception in a callback would only reach a log.
        except Exception as error:
            self.status.value = _status(f"No answer. {type(error).__name__}: {error}")
        else:
            self.picture.value, self.table.value = picture, table
            self.status.value = _status(_summary(answer))
        finally:
            self.epsilon.disabled = False


def _status(text: str) -> str:
    return f'<p role="status" aria-live="polite">{escape(text)}</p>'


def _summary(answer: Answer) -> str:
    """What is shown, in one or two sentences."""
    question = answer.question
    text = (
        f"Record {question.record}, {stages.CLASS_NAMES[answer.label]}, under "
        f"{question.attack.upper()} at ε = {question.epsilon:g} µV."
    )
    if not answer.padded:
        text += " It fills the networks' input: without padding, both treatments of it agree."
    return text


def _picture(answer: Answer, *, rate: float) -> str:
    question = answer.question
    figure = plots.attacked_ecg(
        answer.signal,
        {question.attack.upper(): answer.perturbation},
        rate=rate,
        epsilon=question.epsilon,
        seconds=SECONDS,
        start=max(0.0, len(answer.signal) / rate - SECONDS) / 2,
    )
    data = base64.b64encode(plots.drawn(figure, format="png")).decode()
    description = (
        f"ECG on paper, unperturbed and attacked, and the perturbation. {_summary(answer)}"
    )
    return (
        f'<img src="data:image/png;base64,{data}" alt="{escape(description)}" '
        'style="max-width: 100%; width: 600px">'
    )


def _table(answer: Answer) -> str:
    """The probabilities, with a caption."""
    names = zip(stages.SHORT_CLASS_NAMES, stages.CLASS_NAMES, strict=True)
    classes = ", ".join(f"{short}: {name}" for short, name in names)
    caption = f"Probability of each class in %, without attack → under attack. {classes}."
    rows = probability_table(answer).to_html(border=0, classes="attack-table", justify="left")
    return TABLE + rows.replace(">", f"><caption>{escape(caption)}</caption>", 1)
