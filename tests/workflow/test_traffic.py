"""What jobs read and write, counted."""

from dnalib.runs import load_profile
from dnalib.stages import all_stages
from dnalib.workflow.bill import Task
from dnalib.workflow.traffic import Sizes, traffic

STAGES = all_stages(load_profile("small"))
SIZES = Sizes(
    records=1000,
    plan=100,
    checkpoint=7,
    artefacts={"base": 3, "features-base": 5, "dec1": 11, "natural-dec1": 13},
)


def test_a_training_reads_what_it_needs_and_writes_its_checkpoints():
    tasks = {"dec1": Task(1.0, (), ("dec1", "features-base"))}
    found = traffic(tasks, STAGES, sizes=SIZES, epochs=2)
    assert found.read == 1000 + 2 * 100 + 3, "features of the base model are made by the job itself"
    assert found.written == 11 + 5 + 2 * 7
    assert found.files == 2 * 3 + 2 + 2 * 2


def test_a_chapter_that_computes_nothing_reads_records_and_plan():
    found = traffic({"chapter": Task(1.0, ())}, STAGES, sizes=SIZES, epochs=2)
    assert (found.read, found.written, found.files) == (1200, 0, 2)
