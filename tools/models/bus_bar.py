"""A bus bar that packs, chargers and loads are on: what voltage it has, and who carries what.

A pack is (emf_mv, ohm in mV per mA, charge FET closed, discharge FET closed, limiter in); an open
FET leaves its body diode, so current may pass the other way. Currents into packs are positive.
"""

DIODE_MV = 750.0
LIMITER_MA = 10_000.0
HIGHEST_MV = 100_000.0
DEAD_MV = 40_000.0          # below it a load takes less: it behaves as a resistance
_CHARGER_OHM = 0.001        # droop of a charger at its voltage limit, mV per mA
_ROUNDS = 60


def pack_ma(pack, bar_mv):
    """Current into *pack* at *bar_mv*."""
    emf_mv, ohm, chg, dsg, limiter = pack[:5]
    drive = bar_mv - emf_mv
    if drive > 0 and chg:
        current = max(0.0, drive - (0 if dsg else DIODE_MV)) / ohm
        return min(current, LIMITER_MA) if limiter else current
    if drive < 0 and dsg:
        return min(0.0, drive + (0 if chg else DIODE_MV)) / ohm
    return 0.0


class BusBar:
    """What hangs on the bar besides the packs.

    charger_mv, charger_ma   voltage and current limit of a charger, None: there is none
    load_ma      constant-current load, 0: none; it gets what there is
    force_ma     None | a current source in place of both, charging positive
    mv           of the newest solve(), None: the bar is dead
    """

    def __init__(self):
        self.charger_mv = self.charger_ma = self.force_ma = None
        self.load_ma = 0.0
        self.mv = None

    def source_ma(self, bar_mv):
        """What the surroundings drive into the packs at *bar_mv*."""
        if self.force_ma is not None:
            return float(self.force_ma)
        current = 0.0
        if self.charger_mv is not None:
            current = min(self.charger_ma, max(0.0, (self.charger_mv - bar_mv) / _CHARGER_OHM))
        return current - self.load_ma * min(1.0, max(0.0, bar_mv / DEAD_MV))

    def only_ma(self, packs, index):
        """What pack *index* alone has to give; None: a charger or other packs hold the bar too."""
        if self.charger_mv is not None or self.force_ma is not None or any(
                packs[i][2] or packs[i][3] for i in range(len(packs)) if i != index):
            return None
        return self.load_ma

    def solve(self, packs):
        """Voltage at which all currents add up to zero; None if nobody holds the bar up."""
        if not any(pack[3] for pack in packs) and self.charger_mv is None and (
                self.force_ma is None or self.force_ma <= 0):
            self.mv = None
            return None
        low, high = 0.0, HIGHEST_MV
        for _ in range(_ROUNDS):
            middle = (low + high) / 2
            if sum(pack_ma(pack, middle) for pack in packs) > self.source_ma(middle):
                high = middle
            else:
                low = middle
        self.mv = (low + high) / 2
        return self.mv
