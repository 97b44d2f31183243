"""The rig of a bench with a box: a test that needs what it refuses by name is skipped."""

import os

import pytest
from rig import RigError
from rig_targets import TargetError

REFUSED = "not controllable: "
# later than on the other targets: the way of a reading to the box, and of an edge back
LATER_MS = 30


def later_ms(target):
    """What a moment that is measured may be later on *target*."""
    return LATER_MS if target in ("rp2040+box", "serial") else 0


class Boxed:
    """Before a class of rigs. The target "serial" is the board at PACKCTL_PORT with the box at
    PACKCTL_BOX."""

    def open(self, board="rp2040+box", **fields):
        if board == "serial":
            board = "serial:" + os.environ["PACKCTL_PORT"]
            fields["stimulus"] = os.environ["PACKCTL_BOX"]
        return self._tried(super().open, board=board, **fields)

    def set(self, **fields):
        return self._tried(super().set, **fields)

    def power(self, on):
        return self._tried(super().power, on)

    def can(self, **fields):
        return self._tried(super().can, **fields)

    def fleet(self, *args, **fields):
        pytest.skip("a bench with a box has one board")

    @staticmethod
    def _tried(act, *args, **fields):
        try:
            return act(*args, **fields)
        except (RigError, TargetError) as error:
            if str(error).startswith(REFUSED):
                pytest.skip(str(error))
            raise
