"""Cells that the state of charge is tried on, beside our own (SOC-04).

Each kind changes what soc_study.draw_cells() has drawn: the rest curve, its hysteresis, the
self-discharge. The firmware knows nothing of it, or has the curve in its profile (known_cell()).

  own          as drawn by soc_study.py
  a123         measured curve of another maker's cell (cells/a123_26650_25C.csv, C/30 both ways)
  knees ++     our own curve with both knees 3 % of charge earlier and 10 mV higher, ...
  self 0...6   our own curve with that self-discharge, mA at 100 Ah
"""

import csv
import pathlib

import numpy as np

ROWS = np.arange(449) / 400.0 - 0.06
_A123 = pathlib.Path(__file__).with_name("cells") / "a123_26650_25C.csv"

# name: (shift of the lower knee, of the upper knee, mV, half hysteresis mV or None, least and most
# self-discharge mA or None)
MOVED = {
    "knees ++": (0.03, 0.03, 10.0, 15.0, (5.4, 6.0)),
    "knees --": (-0.03, -0.03, -10.0, 2.5, (0.0, 0.0)),
    "knees +-": (0.03, -0.03, -10.0, 30.0, (0.0, 6.0)),
    "knees -+": (-0.03, 0.03, 10.0, 30.0, (0.0, 1.0)),
    "self 0": (0.0, 0.0, 0.0, None, (0.0, 0.0)),
    "self 2": (0.0, 0.0, 0.0, None, (1.8, 2.2)),
    "self 4": (0.0, 0.0, 0.0, None, (3.6, 4.4)),
    "self 6": (0.0, 0.0, 0.0, None, (5.4, 6.0)),
}
KINDS = ("own", "a123", *MOVED)


def _measured():
    """(share of charge, mV after discharge, mV after charge) of the measured cell."""
    lines = [line for line in _A123.read_text().splitlines() if not line.startswith("#")]
    table = np.array(list(csv.reader(lines))[1:], float)
    return table[:, 0], table[:, 1], table[:, 2]


def _table(soc, mv):
    """The model's table of a curve from 0 to 100 %, going on as steeply as any cell's beyond."""
    out = np.interp(ROWS, soc, mv)
    low, high = ROWS < 0, ROWS > 1
    out[low] = np.interp(ROWS[low], [-0.06, -0.02, 0], [0, min(2000, mv[0] - 300), mv[0]])
    out[high] = np.interp(ROWS[high], [1, 1.02, 1.06], [mv[-1], mv[-1] + 400, 5000])
    return out


def moved(own, low, high, lift_mv):
    """The curve *own* with its knees elsewhere; its ends stay where they are."""
    lower = np.clip(ROWS / 0.08, 0, 1) * np.clip((0.4 - ROWS) / 0.2, 0, 1)
    upper = np.clip((1 - ROWS) / 0.07, 0, 1) * np.clip((ROWS - 0.6) / 0.2, 0, 1)
    curve = np.interp(ROWS + low * lower + high * upper, ROWS, own)
    curve += lift_mv * np.clip(ROWS / 0.05, 0, 1) * np.clip((1 - ROWS) / 0.02, 0, 1)
    return np.maximum.accumulate(curve)


def shape(cells, kind, seed):
    """Make the drawn *cells* of that *kind*."""
    if kind == "own":
        return
    rng = np.random.default_rng(99 + seed)
    if kind == "a123":
        soc, low, high = _measured()
        cells.ocv[:] = _table(soc, (low + high) / 2)
        middle = (soc > 0.2) & (soc < 0.8)
        cells.hyst_mv = float(np.mean((high - low)[middle]) / 2)
        return
    low, high, lift_mv, half_mv, leak = MOVED[kind]
    if low or high or lift_mv:
        cells.ocv[:] = moved(np.array(cells.ocv[:]), low, high, lift_mv)
    if half_mv is not None:
        cells.hyst_mv = half_mv
    if leak is not None:
        for i in range(16):
            cells.leak_ma[i] = rng.uniform(*leak)


def known_cell(cells):
    """CELL of a profile that knows these cells as their maker would."""
    rest = []
    for percent in (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 16, 18, 20, 30, 40, 50, 60,
                    70, 80, 90, 92, 94, 95, 96, 97, 98, 98.5, 99, 99.5, 100):
        mean = float(np.interp(percent / 100, ROWS, cells.ocv[:]))
        low, high = round(mean - cells.hyst_mv), round(mean + cells.hyst_mv)
        if rest and (low <= rest[-1][1] or high <= rest[-1][2]):
            low, high = rest[-1][1] + 1, rest[-1][2] + 1
        rest.append((round(percent * 100), low, high))
    leak_ua = round(sum(cells.leak_ma) / 16 * 1000)
    return {"rest": tuple(rest), "unsure_mv": 4, "unsure_cpct": 100, "hysteresis_u_mv": 4,
            "self_ua": leak_ua, "self_u_ua": 1000}
