"""How long a call may take, and the one error that a person can do something about."""

import math
import time

LONGEST_MARGIN = 20.0  # s, for starting a kernel, and again for writing out


class CampaignError(RuntimeError):
    """The call cannot do what it was asked for; the message says why in one sentence."""


class Clock:
    """The time of one call.

    Three moments count: after `working` seconds nothing new is begun; after `running` seconds what
    still runs is stopped by force; the rest is for writing out.

    Args:
        minutes: of the whole call; None without a limit.
        started: when the call began, seconds since 1970; None for now.
    """

    def __init__(self, minutes: float | None, *, started: float | None = None) -> None:
        earlier = 0.0 if started is None else max(0.0, time.time() - started)
        self._started = time.monotonic() - earlier
        self._limit = math.inf if minutes is None else 60 * minutes
        self._margin = 0.0 if minutes is None else min(LONGEST_MARGIN, self._limit / 6)

    def seconds(self) -> float:
        """Seconds since the call began."""
        return time.monotonic() - self._started

    def working(self) -> float:
        """Seconds left in which something may be begun; inf without a limit."""
        return max(0.0, self._limit - 2 * self._margin - self.seconds())

    def running(self) -> float:
        """Seconds left for what was begun; inf without a limit."""
        return max(0.0, self._limit - self._margin - self.seconds())
