"""What a test in Python says in the end, and the environment in which it runs programs.

fail and demand note a fault and go on; end is the last call, and ends with status 1 if one was noted; skip ends with 77.
"""

import os
import sys

_faults = 0


def fail(what):
    global _faults
    _faults += 1
    print(f"FAILED: {what}", flush=True)


def demand(good, what):
    if not good:
        fail(what)


def skip(why):
    print(f"SKIP: {why}")
    sys.exit(77)


def end():
    sys.exit(1 if _faults else 0)


def environment(**more):
    """As a user has it, nothing preloaded and no options given; and more."""
    return {**{k: v for k, v in os.environ.items() if not k.startswith(("CUTBACK", "LD_", "MALLOC_"))}, **more}
