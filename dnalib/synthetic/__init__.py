"""Synthetic ECGs: the default data set, made on the spot and laid out like the real one.

Nothing here is a recording. The beats come from the dynamical model of McSharry et al. 2003
(module `ecgsyn`), timed by programmed rhythms (`rhythms`), shaped by drawn waves (`waves`) and
disturbed as a hand-held recorder's are (`artefacts`); `records` puts them together and `writing`
stores them as WFDB records. 1 raw unit = 1 µV, 300 Hz, int16.

With the same versions of NumPy and SciPy on the same kind of processor the same seed gives the
same bits; elsewhere a sample may round to the neighbouring raw unit.
"""

from dnalib.synthetic.records import SyntheticRecord, generate
from dnalib.synthetic.writing import GENERATOR_VERSION, is_dataset, write_dataset

__all__ = ["GENERATOR_VERSION", "SyntheticRecord", "generate", "is_dataset", "write_dataset"]
