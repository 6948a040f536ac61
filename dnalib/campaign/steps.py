"""The steps of a campaign: chapters of a profile, executed by papermill within the time."""

import hashlib
import json
import logging
import math
import re
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dnalib import stages
from dnalib.campaign.limits import CampaignError, Clock
from dnalib.campaign.pieces import EXECUTED, LEDGER
from dnalib.data import DataError
from dnalib.files import write_json
from dnalib.runs import OutOfTime, ParameterError, Settings, load_profile
from dnalib.runs.settings import override, setting_names
from dnalib.workflow.variants import variant_name

CHAPTERS = "[0-9]*.ipynb"  # every main figure
APPENDICES = "[A-Z]*.ipynb"  # several times as long: other methods, other values, other attacks


@dataclass(frozen=True)
class Step:
    """One recipe for all nine models and the attacks.

    Attributes:
        profile: its parameters.
        epochs: in place of the profile's; None for those.
        others: further settings in place of the profile's.
    """

    profile: str
    epochs: int | None = None
    others: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """As it is written on the command line."""
        return self.profile if self.epochs is None else f"{self.profile}:{self.epochs}"

    @property
    def changes(self) -> dict[str, Any]:
        """Settings that differ from the profile's."""
        return {**self.others, **({} if self.epochs is None else {"epochs": self.epochs})}

    @property
    def settings(self) -> Settings:
        """All settings of its run."""
        return override(load_profile(self.profile), self.changes)

    @property
    def full_size(self) -> bool:
        """Whether its networks are the paper's, whose speed is measured."""
        return (self.settings.width, self.settings.length) == (1.0, 18_000)


@dataclass(frozen=True)
class Places:
    """Where a campaign finds and keeps things.

    Attributes:
        root: the project's folder.
        runs: where runs are kept.
        data, split: of the real records, as notebooks take them.
    """

    root: Path
    runs: Path
    data: str | None = None
    split: str | None = None


def parse_step(text: str, *, others: Mapping[str, Any] | None = None) -> Step:
    """A step as it is written on the command line, `PROFILE` or `PROFILE:EPOCHS`.

    Args:
        text: the step.
        others: settings in place of the profile's.

    Raises:
        CampaignError: it is written otherwise, or there is no such profile or setting.
    """
    found = re.fullmatch(r"([\w-]+)(?::([1-9]\d*))?", text)
    if found is None:
        raise CampaignError(f"step is {text!r}; accepted are PROFILE and PROFILE:EPOCHS")
    step = Step(found[1], int(found[2]) if found[2] else None, others or {})
    try:
        override(load_profile(step.profile), step.changes)
    except ParameterError as error:
        raise CampaignError(f"step is {text!r}: {error}") from error
    return step


def run_step(step: Step, places: Places, clock: Clock, *, notebooks: str = CHAPTERS) -> None:
    """Execute the notebooks of a step that were not executed to the end before.

    Args:
        step: the recipe.
        places: where they lie, and what they read and write.
        clock: of this call.
        notebooks: which, `CHAPTERS` or `APPENDICES`.

    Raises:
        OutOfTime: the call's time ended first; the message names the chapter.
        CampaignError: the records are not there, or a chapter failed.
    """
    records = records_of(step, places)
    for notebook in sorted((places.root / "book").glob(notebooks)):
        chapter = notebook.stem
        mark = mark_of(notebook, step, places, records=records)
        if mark.is_file():
            continue
        started = time.monotonic()
        try:
            if clock.working() == 0:
                raise OutOfTime("it is not begun; call again to go on")
            print(f"{step.name}: chapter {chapter}", flush=True)
            execute(notebook, step, places, clock)
        except OutOfTime as error:
            raise OutOfTime(f"{step.name}, chapter {chapter}: {error}") from error
        mark.parent.mkdir(parents=True, exist_ok=True)
        write_json(mark, {"step": step.name, "chapter": chapter})
        seconds = time.monotonic() - started
        print(f"{step.name}: chapter {chapter} done in {seconds:.1f} s", flush=True)


def records_of(step: Step, places: Places) -> str:
    """The identity of a step's records and of their split.

    Raises:
        CampaignError: they are not there, or places are named for synthetic records.
    """
    try:
        run = stages.computing_run(
            step.settings,
            profile=step.profile,
            root=places.root,
            runs_folder=places.runs,
            place=places.data,
            split=places.split,
        )
        return run.dataset.identity
    except (DataError, ParameterError) as error:
        raise CampaignError(f"{step.name}: {error}") from error


def mark_of(notebook: Path, step: Step, places: Places, *, records: str) -> Path:
    """The file that says that a chapter was executed to the end: by this library, on these records.

    It is handed out, and so tells the next machine, which has no executed chapters.
    """
    followed = {
        "changes": step.changes,  # they say where the executed chapter lies
        "settings": step.settings.values(setting_names()),
        "records": records,
    }
    digest = hashlib.sha256(json.dumps(followed, sort_keys=True).encode())
    for source in (notebook, *sorted((places.root / "dnalib").rglob("*.py"))):
        digest.update(source.read_bytes())
    name = f"{EXECUTED}{step.profile}-{notebook.stem}-{digest.hexdigest()[:16]}.json"
    return places.runs / LEDGER.parent / name


def executed_path(step: Step, places: Places, chapter: str) -> Path:
    """Where an executed chapter is kept: that of other settings lies beside the profile's own."""
    folder = f"book-{variant_name(step.changes)}" if step.changes else "book"
    return places.runs / step.profile / folder / f"{chapter}.ipynb"


def execute(notebook: Path, step: Step, places: Places, clock: Clock) -> None:
    """Execute one chapter, by force no longer than the call may take.

    Raises:
        OutOfTime: the time ended first.
        CampaignError: it failed.
    """
    import papermill  # only this needs it, and it is no part of the library's requirements
    from nbclient.exceptions import CellTimeoutError, DeadKernelError

    from dnalib.executing import KERNEL_START_SECONDS

    # It would warn of settings that a chapter does not list; all were checked.
    logging.getLogger("papermill").setLevel(logging.ERROR)
    output = executed_path(step, places, notebook.stem)
    output.parent.mkdir(parents=True, exist_ok=True)
    part = output.with_name(f".{output.name}")  # only a whole one counts as executed
    try:
        papermill.execute_notebook(
            notebook,
            part,
            notebook_parameters(step, places, clock),
            cwd=notebook.parent,
            progress_bar=False,
            start_timeout=KERNEL_START_SECONDS,
            request_save_on_cell_execute=False,  # a part is of no use
            autosave_cell_every=0,
            stdout_file=sys.stdout,
            timeout_func=lambda cell: seconds_for_a_cell(clock),
            shutdown_kernel="immediate",
        )
        part.replace(output)
    except papermill.PapermillExecutionError as error:
        if error.ename == OutOfTime.__name__:
            raise OutOfTime(error.evalue) from error
        print("\n".join(error.traceback), file=sys.stderr)
        raise CampaignError(f"{notebook.stem} failed: {error.ename}: {error.evalue}") from error
    except CellTimeoutError as error:
        raise OutOfTime("stopped within a stage; call again to go on") from error
    except DeadKernelError as error:
        sentence = f"{notebook.stem} failed: its kernel died, perhaps for want of memory"
        raise CampaignError(sentence) from error
    except RuntimeError as error:  # how it is said that a kernel never answered
        raise CampaignError(f"{notebook.stem} could not be executed: {error}") from error
    finally:
        part.unlink(missing_ok=True)


def seconds_for_a_cell(clock: Clock) -> int | None:
    """How long a cell that begins now may run, whole seconds from 1; None without a limit."""
    left = clock.running()
    return None if math.isinf(left) else max(1, int(left))  # papermill takes 0 for no limit


def notebook_parameters(step: Step, places: Places, clock: Clock) -> dict[str, Any]:
    """What a chapter is executed with."""
    given: dict[str, Any] = {"profile": step.profile, **step.changes}
    given["runs_folder"] = str(places.runs)
    for name, place in (("data", places.data), ("split", places.split)):
        if place:
            given[name] = str(Path(place).expanduser().resolve())
    if not math.isinf(clock.working()):
        given["max_minutes"] = clock.working() / 60
    return given


def finished_stages(runs: Path) -> dict[Path, float]:
    """Seconds that each finished artefact took, by its path below the runs."""
    found = {}
    # A hidden one is being written, or was when a call was killed.
    for sidecar in sorted(runs.glob("*/[!.]*.json"), key=lambda path: path.stat().st_mtime):
        try:
            content = json.loads(sidecar.read_text())
        except ValueError:
            continue  # not whole: whoever reads the artefact says so
        if "sha256" in content:
            found[sidecar.relative_to(runs).with_suffix("")] = content["seconds"]
    return found
