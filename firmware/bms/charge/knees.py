"""Where the knees of this pack's cells lie beside the profile's curve (SOC-04).

Whenever the pack rests in a knee, the charge counted since an anchor says where on the curve that
is. The difference to the curve is the same each time, but for what was miscounted: it is learnt
from pass to pass, never from one alone, and never by more than the profile says is not known.
"""

_LEAST_U_CPCT = 80
_PASSES = 2                 # before what was found is used


class Knee:
    """One knee.

    offset_cpct   by how much the charge exceeds what the curve says; 0 until it is known
    u_cpct        bound of where the knee lies
    passes        that it was learnt from, at most 255
    """

    def __init__(self, unsure_cpct):
        self._unsure_cpct = unsure_cpct
        self._found = 0
        self._found_u = unsure_cpct
        self.passes = 0

    @property
    def is_known(self):
        return self.passes >= _PASSES

    @property
    def offset_cpct(self):
        return self._found if self.is_known else 0

    @property
    def u_cpct(self):
        return self._found_u if self.is_known else self._unsure_cpct

    def learn(self, off_cpct, u_cpct):
        """A pass: the counted charge was *off_cpct* more than the curve's, known to *u_cpct*."""
        most = self._unsure_cpct
        off = max(-most, min(off_cpct, most))
        u = self._found_u
        a, b = u // 8 + 1, u_cpct // 8 + 1
        weight = 256 * (a * a) // (a * a + b * b)
        self._found += (off - self._found) * weight // 256
        self._found_u = max(_LEAST_U_CPCT, u - u * weight // 512)
        self.passes = min(self.passes + 1, 255)

    def state(self):
        """(found, bound, passes) to be kept."""
        return self._found, self._found_u, self.passes

    def recall(self, found, u_cpct, passes):
        """Take what was kept."""
        most = self._unsure_cpct
        self._found = max(-most, min(found, most))
        self._found_u = max(_LEAST_U_CPCT, min(u_cpct, most))
        self.passes = passes
