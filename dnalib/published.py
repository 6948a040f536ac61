"""What the paper and its sources report, to stand beside our numbers.

Only values that their texts state or that follow from files they published; none is read off a
figure.
"""

import json
from collections.abc import Mapping
from importlib import resources

import numpy as np

# P(≥1) under SAP at ε = 150 µV. Source: Wiedeman & Wang, abstract and section "Results".
# cor at ε = 10 µV: "nearly 80 %" of records by at least two members, "above 90 %" by at least one.
SAP: Mapping[tuple[str, str, float], float] = {
    ("fdec", "P(≥1)", 150.0): 0.772,
    ("cor", "P(≥1)", 150.0): 0.217,
    ("cor", "P(≥2)", 10.0): 0.80,
    ("cor", "P(≥1)", 10.0): 0.90,
}

# Accuracy and UA under PGD at ε = 50 µV. Source: abstract of the preprint's third version, where
# fdec is the proposal and cor the conventional ensemble.
PGD_EPSILON = 50.0
PGD: Mapping[tuple[str, str], float] = {
    ("cor", "accuracy"): 0.2110,
    ("fdec", "accuracy"): 0.5018,
    ("cor", "UA"): 0.3031,
    ("fdec", "UA"): 0.4801,
}

# R² between the members' features over the training rows, (regressor, regressand), members in the
# order of `stages.ENSEMBLES`. Source: computed from the features that the authors published.
R_SQUARED: Mapping[str, tuple[tuple[float, float, float], ...]] = {
    "cor": ((1.0, 0.8642, 0.8568), (0.8494, 1.0, 0.8524), (0.8754, 0.8809, 1.0)),
    "dec": ((1.0, 0.1168, 0.1116), (0.6173, 1.0, 0.0853), (0.7660, 0.1125, 1.0)),
    "fcor": ((1.0, 0.8685, 0.8170), (0.8587, 1.0, 0.8251), (0.7798, 0.7893, 1.0)),
    "fdec": ((1.0, 0.2076, 0.1496), (0.6060, 1.0, 0.1654), (0.7247, 0.1603, 1.0)),
}
FEATURE_ROWS = 9_589  # training rows that they were computed over
FEATURES = 64


def accuracy_histories() -> dict[str, np.ndarray]:
    """Test accuracy after each of 200 epochs, (epoch,) fractions, of the four published histories.

    Source: the authors' training histories, kept as records answered right out of 853.
    """
    file = resources.files("dnalib").joinpath("published_histories.json")
    held = json.loads(file.read_text(encoding="utf-8"))
    return {name: np.array(right) / held["test_records"] for name, right in held["right"].items()}
