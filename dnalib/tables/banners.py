"""What a chapter says of its run in words: which one it is, on which records, with what changed."""

from dataclasses import dataclass

from dnalib.dataset import CHALLENGE, MADE_UP
from dnalib.runs import Run
from dnalib.runs.settings import changed_settings
from dnalib.stages.ensembles import in_full


@dataclass(frozen=True)
class Banner:
    """Words that a chapter shows among its figures, in Markdown."""

    markdown: str

    def _repr_markdown_(self) -> str:
        return self.markdown


def banner(run: Run) -> Banner:
    """The run that a chapter shows, and what it changes of its profile.

    Records that are not the challenge's, synthetic ones above all, are named as such before
    anything else.

    Raises:
        data.DataError: the records of a run that computes on real ones are missing or damaged.
    """
    settings = run.settings
    network = (
        f"{settings.rate} Hz, {settings.length:,} samples a record, {settings.width:g} of the "
        f"paper's width, {settings.epochs} epoch{'s' * (settings.epochs != 1)}, seed "
        f"{settings.seed}"
    )
    if settings.source == "synthetic":
        text = (
            f"**The data of this run are synthetic.** Profile `{run.profile}` makes "
            f"{settings.synthetic_records} ECGs by a mathematical model; no patient is involved, "
            f"and no number below says anything about real hearts. ({network}.)"
        )
    else:
        verb = "shows the recorded results of" if run.recorded else "computes"
        warning, records = read_records(run.origin)
        text = f"{warning}Profile `{run.profile}` {verb} a run on {records} ({network})."
    return Banner(f"> {text}{changes(run)}")


def read_records(origin: str) -> tuple[str, str]:
    """What a chapter warns of records that a run read, nothing of the challenge's; and their name.

    Args:
        origin: as `Run.origin` tells it.
    """
    if origin == CHALLENGE:
        return "", "the real records of the CinC 2017 challenge"
    if origin == MADE_UP:
        return (
            "**The data of this run are synthetic.** No patient is involved, and no number below "
            "says anything about real hearts. ",
            "ECGs that were made by a mathematical model",
        )
    return "**The data of this run are not those of the CinC 2017 challenge.** ", origin


def whose_records(origin: str) -> str:
    """Records of a `Run.origin` in two words, if they are the challenge's or synthetic."""
    return {CHALLENGE: "real records", MADE_UP: "synthetic ECGs"}.get(origin, origin)


def changes(run: Run) -> str:
    """What a run has otherwise than its profile, a sentence; nothing where it has all of it."""
    parts = [
        f"`{name}` {written(now)} instead of {written(before)}"
        for name, (now, before) in changed_settings(run.profile, run.settings).items()
    ]
    return f" **Changed against the profile:** {'; '.join(parts)}." if parts else ""


def written(value: object) -> str:
    """A setting's value as it stands in a sentence."""
    values = value if isinstance(value, tuple) else (value,)
    return ", ".join(one if isinstance(one, str) else in_full(one) for one in values)
