"""What limits a computation, from the seconds of its operations: arithmetic, memory, or gaps."""

import re
from collections.abc import Mapping

# Operations of PyTorch, and kernels as cuDNN, cuBLAS, cuSOLVER and Triton name them.
COMPUTE = re.compile(
    r"convolution|convolve|conv[_-]?\d|winograd|conv_depthwise|[dw]grad|fprop"  # convolutions
    r"|gemm|gemv|nvjet|cutlass|triton_tem|(::|_)(add|badd)?(bmm|mm|mv|matmul|linear|dot)$"
    r"|cholesky|potr|getr|geqr|syrk|syev|gesvd|lu_factor|linalg_(qr|svd|eig|inv|lstsq|solve|ldl)"
    r"|triangular|trsm|trsv"
)
# What is no operation on a CPU: autograd's nodes, and functions written in Python.
OPERATION = re.compile(r"^(?!autograd::)\w+::\w+$")
TRAFFIC, ARITHMETIC, GAPS = "memory traffic", "compute", "gaps"


def kind_of(name: str, *, kernel: bool) -> str:
    """What an operation or a kernel costs: "compute", "memory traffic" or "gaps".

    Args:
        name: as the profiler gives it.
        kernel: it ran on a GPU. On a CPU a name without a namespace is a function in Python, and
            `autograd::` the engine: neither touches numbers itself.
    """
    if not kernel and not OPERATION.match(name):
        return GAPS
    return ARITHMETIC if COMPUTE.search(name) else TRAFFIC


def limits_of(seconds: Mapping[str, float], *, wall: float, kernels: bool) -> dict[str, float]:
    """Shares of the wall time in convolutions, products and factorisations, in the rest, in none.

    Args:
        seconds: of each operation or kernel itself, by name.
        wall: seconds of the whole.
        kernels: they are a GPU's.

    Returns:
        "compute", "memory traffic" and "gaps", together 1 unless operations overlapped: then gaps
        are 0. On a CPU an operation's own overhead counts as its time, so that gaps there are at
        least the share that is given.
    """
    shares = dict.fromkeys((ARITHMETIC, TRAFFIC, GAPS), 0.0)
    for name, time in seconds.items():
        shares[kind_of(name, kernel=kernels)] += time / wall
    shares[GAPS] = max(0.0, 1 - shares[ARITHMETIC] - shares[TRAFFIC])
    return {name: round(share, 3) for name, share in shares.items()}
