"""Everything that a machine without a network needs to compute a run, in one folder.

`python -m dnalib.packing` makes it; `make pack` calls that.
"""

from dnalib.packing.contents import make_pack
from dnalib.packing.wheels import PackError

__all__ = ["PackError", "make_pack"]
