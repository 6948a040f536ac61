"""The end of an epoch: what is kept and said, and whether there is time for another."""

import time
from collections.abc import Callable

from dnalib.training.state import Keeper, TrainingState


def end_epoch(
    state: TrainingState,
    keeper: Keeper,
    *,
    epochs: int,
    pace: float,
    started: float,
    max_minutes: float | None,
    report: Callable[[str], None],
) -> bool:
    """Report the finished epoch and keep the state after it.

    Args:
        state: after the epoch.
        keeper: of the training's checkpoints.
        epochs: of the whole training.
        pace: what the next epoch is expected to take, s.
        started: when the call did, by `time.monotonic`.
        max_minutes: of the call; None without a limit.
        report: receives a line, and another one where the call ends here.

    Returns:
        Whether another epoch is due for which there is no time.

    Raises:
        FloatingPointError: the state is not finite.
        CheckpointError: the state could not be written; the one before it is intact.
    """
    report(describe_epoch(state.history[-1], epochs=epochs))
    keeper.save(state)
    due = len(state.history) < epochs
    if not due or max_minutes is None or time.monotonic() - started + pace <= 60 * max_minutes:
        return False
    report(
        f"  ended after epoch {len(state.history)}/{epochs}: another would exceed max_minutes "
        f"{max_minutes:g}; the same call goes on from here"
    )
    return True


def pace_after(*, seconds: float, compiling: float, batches: int) -> float:
    """What the next epoch is expected to take, s: as long as the last one, without its compiling.

    Args:
        seconds: of the last epoch.
        compiling: of these, what the step took that was compiled. It counts as the others do; where
            there are none, nothing tells how long it takes without, and it counts whole.
        batches: steps an epoch.
    """
    if compiling == 0 or batches == 1:
        return seconds
    return (seconds - compiling) * batches / (batches - 1)


def describe_epoch(row: dict[str, float], *, epochs: int) -> str:
    """One line for the person who waits."""
    decorrelation = row["decorrelation_loss"]
    shared = "" if decorrelation != decorrelation else f"  decorrelation loss {decorrelation:.3f}"
    return (
        f"  epoch {row['epoch']:>3}/{epochs}  loss {row['train_loss']:.3f}{shared}  "
        f"train {row['train_accuracy']:.3f}  test {row['test_accuracy']:.3f}  "
        f"{row['seconds']:.1f} s"
    )
