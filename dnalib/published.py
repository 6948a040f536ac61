"""What the paper and its sources report, to stand beside our numbers.

Only values that their texts state; none is read off a figure.
"""

from collections.abc import Mapping

# P(≥1) under SAP at ε = 150 µV. Source: Wiedeman & Wang, abstract and section "Results".
# cor at ε = 10 µV: "nearly 80 %" of records by at least two members, "above 90 %" by at least one.
SAP: Mapping[tuple[str, str, float], float] = {
    ("fdec", "at least 1", 150.0): 0.772,
    ("cor", "at least 1", 150.0): 0.217,
    ("cor", "at least 2", 10.0): 0.80,
    ("cor", "at least 1", 10.0): 0.90,
}

# Best test accuracy over the epochs (the kept epoch is chosen on the test records).
# Source: the authors' training histories.
BEST_EPOCH: Mapping[str, float] = {
    "fcor1": 0.8605,
    "fcor2": 0.8394,
    "fdec1": 0.8511,
    "fdec2": 0.8277,
}
