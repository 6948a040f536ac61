"""Long computations in short calls, on a machine that is lent for minutes and then forgets.

`python -m dnalib.campaign --steps full:8 full --minutes 9 --output FOLDER` goes on where the last
call stopped and leaves in FOLDER what is new; `--unpack FOLDER` puts that into a checkout's runs.
Chapters 1 to 8 of every step come first; `--appendices full:8` executes a step's appendices after
them.

Imports go one way: limits, pieces, steps, estimates, throughput, handout, restoring.
"""
