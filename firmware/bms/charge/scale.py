"""Counted charge through the calibration of the current channel (MEA-04).

The AFE's integrator sees the shunt as its converter does: gain and offset of the calibration have
to be applied to what it counts as to the current that is shown.
"""

import micropython
from bms.measure.measurements import share


class ChargeScale:
    """Gain and offset for charges.

    params   Parameters; soc: StateOfCharge, whose learnt offset is what the calibration leaves
    """

    def __init__(self, params, soc):
        self._params = params
        self._soc = soc
        self._taken = -1            # params.changed that these are of
        self._gain = 0              # 32768ths beyond 1
        self._offset_ma = 0

    def _load(self):
        params = self._params
        offset_ma = params["cal_current_offset_ma"]
        if self._taken >= 0 and offset_ma != self._offset_ma:
            self._soc.move_zero((self._offset_ma - offset_ma) * 1000)
        self._gain = share(params["cal_current_gain_ppm"])
        self._offset_ma = offset_ma
        self._taken = params.changed

    @micropython.native
    def uah(self, moved_uah, dt_ms):
        """*moved_uah* of the integrator in *dt_ms*, calibrated."""
        if self._taken != self._params.changed:
            self._load()
        return (moved_uah + (moved_uah * self._gain >> 15)
                - self._offset_ma * (dt_ms // 10) // 360)

    def parts(self, moved, ms):
        """*moved* of the integrator in *ms* (at most some seconds), in 65536ths of 10 mAh."""
        if self._taken != self._params.changed:
            self._load()
        return moved + (moved * self._gain >> 15) - self._offset_ma * ms * 2 // 1099
