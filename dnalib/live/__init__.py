"""What answers only while a kernel runs: for readers who open a chapter in Jupyter."""

import os
from typing import TYPE_CHECKING

from dnalib.runs import Run
from dnalib.stages import available_records
from dnalib.tables import Banner

if TYPE_CHECKING:
    from dnalib.live.widget import AttackExplorer

JUPYTER = "JPY_SESSION_NAME"  # set by a Jupyter server in the kernels that it starts
NOTICE = (
    "> This cell is interactive where a Jupyter server runs the chapter: `jupyter lab "
    "book/07_attacks.ipynb`, then *Run All Cells*. A printed or rendered page has no networks to "
    "ask. In an editor that runs kernels of its own, write `live.explorer(run, interactive=True)`."
)


def explorer(run: Run, *, interactive: bool | None = None) -> "AttackExplorer | Banner | None":
    """Choose record, attack, ε and padding; see the ECG, the change and every network's answer.

    Args:
        run: a recorded one, or one that computes (and then makes what it lacks).
        interactive: whether there is somebody to use it; None: a Jupyter server started the kernel.
            Executed by papermill or nbclient a widget would leave a page that asks content
            networks for its scripts.

    Returns:
        A widget; a notice that says how to see it; None, with a printed sentence, where the records
        of a recorded run are not on this machine.
    """
    if interactive is None:
        interactive = JUPYTER in os.environ
    if not interactive:
        return Banner(NOTICE)
    records = available_records(run)
    if records is None:
        return None
    # Here, since only whoever sees a widget needs ipywidgets.
    from dnalib.live.attack import AttackBench
    from dnalib.live.widget import AttackExplorer

    return AttackExplorer(AttackBench(run, records))
