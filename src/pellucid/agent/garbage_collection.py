"""How often Python looks for unreachable cycles in this process.

Nearly everything here is freed when its last reader lets go of it; cycles are few and small. Python's own
settings are for programs with little memory: with a thousand proxies connected they stop the process for
up to half a second to walk through what is all still in use, in the middle of a change that everyone waits
for. So what a started agent holds is set aside, and the rest is walked through less often.

Source: Python's documentation of the module gc.
"""

from __future__ import annotations

import gc

YOUNG = 25_000
"""New objects after which the new ones are looked at; Python's own is 700. About the objects that a wave to a
thousand proxies has under way at once."""
MIDDLE, OLD = 20, 50
"""Rounds of the generation below after which the next one is looked at; Python's own are 10 and 10."""


def settle() -> None:
    """Set aside what is there now, which will stay, and look at the rest less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, MIDDLE, OLD)
