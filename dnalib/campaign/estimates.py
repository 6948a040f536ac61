"""What the measured speeds mean for a step: its trainings, and the attacks of its chapters."""

from collections.abc import Mapping, Sequence
from typing import Any

from dnalib.campaign.steps import Step
from dnalib.runs import Settings
from dnalib.workflow.chapters import chapter_stages

TEST_RECORDS = 853  # of the published split, of which those are attacked that are classified right


def estimates(steps: Sequence[Step], found: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """How long each step's chapters take, one line each; none without a benchmark of training.

    Args:
        steps: of which those at full size are estimated, whose speed is measured.
        found: what each benchmark printed last, by its name.
    """
    if "training" not in found:
        return []
    seconds = found["training"].get("epoch_seconds")
    if not isinstance(seconds, int | float):
        return ["no estimate: the training benchmark gave no epoch_seconds"]
    lines = [f"an epoch at full size takes {seconds:.1f} s on this machine"]
    for step in steps:
        if step.full_size:
            parts = [described_trainings(step.settings, epoch_seconds=seconds)]
            parts.append(described_attacks(step.settings, found.get("attacks", {})))
            lines.append(f"{step.name}: {', '.join(parts)}; inference and appendices not counted")
    return lines


def described_trainings(settings: Settings, *, epoch_seconds: float) -> str:
    """How long the trainings of chapters 1 to 8 take: nine models, and a variant of one."""
    trainings = [one for one in chapter_stages(settings).values() if one.kind == "training"]
    minutes = len(trainings) * settings.epochs * epoch_seconds / 60
    return f"{len(trainings)} trainings of {settings.epochs} epochs about {minutes:.0f} min"


def described_attacks(settings: Settings, result: Mapping[str, Any]) -> str:
    """How long the attacks of chapters 1 to 8 take, if every test record is classified right."""
    seconds = result.get("gradient_seconds", {}).get(settings.attack_precision)
    if seconds is None:
        return "attacks not measured"
    records = settings.attack_records or TEST_RECORDS
    steps = gradient_steps(settings)
    total = records * sum(steps[padding] * seconds[padding] for padding in steps)
    return f"attacks at most {total / 60:.0f} min"


def gradient_steps(settings: Settings) -> dict[str, int]:
    """Gradients that chapters 1 to 8 take of each attacked record, by where its padding goes.

    Chapter 7 also attacks at one ε by SAP of PGD's steps, once after PGD and once alone.
    """
    paper = len(settings.epsilons) * (settings.pgd_steps + settings.sap_steps)
    return {"strip": paper + 3 * settings.pgd_steps, "mask": paper}
