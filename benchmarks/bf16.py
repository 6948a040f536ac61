"""What products in bf16 do to the attacks' success on the recorded run's base model.

Prints a line of JSON; a person gives the real records by `--data` and their split by `--split`.
"""

import argparse
import json
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, cast

import torch
from safetensors.torch import load_file
from sides import hardware
from torch import Tensor

from dnalib.dataset import Dataset
from dnalib.runs import RecordedRun, project_root
from dnalib.stages import ATTACKS, attacked_name, computing_run, load_member, open_run
from dnalib.stages.attacking import craft_all
from dnalib.stages.perturbations import craft_batch, logits_under
from dnalib.training.recipes import fastest_device, keep_float32

PROFILE = "small"
RECORDED_RUN = f"recorded/{PROFILE}"
EPSILONS = (10.0, 50.0, 150.0)  # raw units


def effect_of_bf16(
    data: str, *, split: str | None, epsilons: Sequence[float], records: int | None = None
) -> list[dict[str, Any]]:
    """Share of attacked records still right under attacks whose products were float32 or bf16.

    The float32 attacks are those that the recorded run holds; the same attacks of the same records
    are made again in bf16, and both are judged in float32.

    Args:
        data, split: the real records and their published split, as `load_dataset` takes them.
        epsilons: bounds of the attacks, raw units, each one of the recorded run's.
        records: the first so many of those that the run attacked; None for all.

    Returns:
        For each ε and attack: "attack", "epsilon", "records", and a share for each precision.

    Raises:
        ValueError: these are not the records and the split that the recorded run was trained with,
            or its own attacks were not made in float32.
    """
    recorded = cast(RecordedRun, open_run({"profile": RECORDED_RUN}))
    if recorded.settings.attack_precision != "32-true":
        raise ValueError(
            f"the run {RECORDED_RUN} was attacked in {recorded.settings.attack_precision}; "
            "accepted is 32-true"
        )
    dataset = records_of(recorded, data=data, split=split)
    network = load_member(recorded, "base")
    rows = []
    for epsilon in epsilons:
        artefact = recorded.obtain(attacked_name("mask", epsilon))
        stored = load_file(artefact.path)
        base = artefact.results["members"].index("base")
        positions = stored["positions"][:records]
        chosen = dataset.split.test[positions.numpy()]
        signals, labels = dataset.packed(chosen), dataset.labels(chosen)
        made = craft_all(
            partial(craft_batch, epsilon=epsilon, padding="mask", settings=recorded.settings),
            network,
            signals,
            labels,
            epsilon=epsilon,
            padding="mask",
            precision="bf16-mixed",
        )
        for attack in ATTACKS:
            logits = {
                "32-true": stored[attack][base, : len(labels)],
                "bf16-mixed": logits_under(made[attack], [network], signals)[0],
            }
            shares = {name: share_right(answers, labels) for name, answers in logits.items()}
            rows.append({"attack": attack, "epsilon": epsilon, "records": len(labels), **shares})
    return rows


def records_of(recorded: RecordedRun, *, data: str, split: str | None) -> Dataset:
    """The records of a recorded run; what loading writes of a run goes into a folder for the call.

    Raises:
        ValueError: the records or their split are others than the recorded run's.
    """
    with tempfile.TemporaryDirectory() as folder:
        run = computing_run(
            recorded.settings,
            profile=PROFILE,
            root=project_root(),
            runs_folder=folder,
            place=data,
            split=split,
        )
        dataset = run.dataset
    held = recorded.manifest
    if dataset.identity != held["records"]:
        raise ValueError(
            f"the records are {dataset.identity}, split {dataset.split.source!r}; accepted are "
            f"those of {recorded.profile}, {held['records']}, split {held['split']!r} (see --split)"
        )
    return dataset


def share_right(logits: Tensor, labels: Tensor) -> float:
    """Share of records whose largest logit, (record, class), is that of their label, (record,)."""
    return (logits.argmax(1) == labels).double().mean().item()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="archive or folder of the records")
    parser.add_argument("--split", help="random_permutation.npy; else beside the records")
    parser.add_argument("--records", type=int, help="attack only the first so many")
    arguments = parser.parse_args()
    if arguments.records is not None and arguments.records < 1:
        parser.error(f"records is {arguments.records}; accepted are numbers from 1")
    keep_float32()
    try:
        rows = effect_of_bf16(
            arguments.data, split=arguments.split, epsilons=EPSILONS, records=arguments.records
        )
    except ValueError as error:
        parser.error(str(error))
    content = {
        "benchmark": "bf16",
        "rows": rows,
        "hardware": hardware(fastest_device().type),
        "torch": torch.__version__,
        "date": datetime.now(UTC).date().isoformat(),
    }
    print(json.dumps(content))


if __name__ == "__main__":
    main()
