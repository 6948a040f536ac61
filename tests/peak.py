"""The peak memory of a program that a test starts."""

# What ends a program: it prints its own peak in bytes. `ru_maxrss` would begin with that of the
# process which started it, and so tell of the tests rather than of the program.
PRINT_PEAK = """
import resource, sys
from pathlib import Path
try:
    status = Path("/proc/self/status").read_text().splitlines()
    print(next(1024 * int(line.split()[1]) for line in status if line.startswith("VmHWM")))
except FileNotFoundError:  # not Linux
    unit = 1 if sys.platform == "darwin" else 1024
    print(unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
