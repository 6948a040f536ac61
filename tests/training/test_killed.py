"""A training killed at random moments ends as an undisturbed one, bit by bit."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file
from trainings import same_tensors

KILLS = 14


@pytest.mark.slow
def test_a_training_that_is_killed_again_and_again_ends_bit_identical(
    root: Path, tmp_path: Path
) -> None:
    program = Path(__file__).parents[1] / "killing.py"
    done = subprocess.run(
        [sys.executable, program, tmp_path, "32-true", "2", str(KILLS)],
        capture_output=True,
        text=True,
        cwd=root,
    )
    assert done.returncode == 0, done.stderr
    assert "damaged" not in done.stderr, "a kill damages no checkpoint"
    attempts = json.loads(done.stdout)
    killed = [attempt for attempt in attempts if attempt["killed"]]
    assert len(killed) >= 10 and not attempts[-1]["killed"]
    # The kills came at different moments, some with a file half-written; the training went on from
    # the middle of an epoch, and never back.
    assert len({tuple(attempt["left"]) for attempt in killed}) >= 4
    for attempt in killed:
        if attempt["last_call"] and attempt["last_call"][0] == "os.rename":
            assert attempt["writing"]
    assert any(step > 0 for _, step in (attempt["found"] for attempt in attempts))
    positions = [attempt["left"] for attempt in attempts]
    assert positions == sorted(positions) and positions[-1] == [5, 0]
    undisturbed = load_file(tmp_path / "undisturbed" / "weights.safetensors")
    history = (tmp_path / "undisturbed" / "history.json").read_text()
    for disturbed in ("checkpointed", "killed"):
        weights = load_file(tmp_path / disturbed / "weights.safetensors")
        assert same_tensors(undisturbed, weights), f"{disturbed} has other weights"
        assert (tmp_path / disturbed / "history.json").read_text() == history
