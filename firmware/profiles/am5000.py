"""Amensolar AM5000: 16S LFP, 51.2 V, 100 Ah. Source: its specification, chapters 2 and 3."""

from bms.words import readings as rd
from bms.limits.derating import CHARGE_LIMIT, DISCHARGE_LIMIT

NAME = "am5000"
CELLS = 16
PANEL = "table"         # LED-03
CAPACITY_MAH = 100_000
DEFAULTS: dict = {}     # the registry's own defaults are this product's

# DER-01, DER-02: (limit, reading, ((reading, permille of the allowed current), ...), reason)
CURVES = (
    (CHARGE_LIMIT, rd.MAX_CELL_MV, ((3400, 1000), (3500, 250), (3560, 0)), "PRO-01 highest cell"),
    (CHARGE_LIMIT, rd.CELL_SUM_MV, ((54800, 1000), (56400, 250), (57200, 0)),
     "PRO-03 pack voltage"),
    (DISCHARGE_LIMIT, rd.MIN_CELL_MV, ((2750, 0), (2850, 250), (3000, 1000)),
     "PRO-02 lowest cell"),
    (DISCHARGE_LIMIT, rd.CELL_SUM_MV, ((44500, 0), (46000, 250), (48000, 1000)),
     "PRO-04 pack voltage"),
    (CHARGE_LIMIT, rd.MAX_TEMP_DC, ((500, 1000), (560, 0)), "PRO-10 hottest cell"),
    (DISCHARGE_LIMIT, rd.MAX_TEMP_DC, ((500, 1000), (560, 0)), "PRO-12 hottest cell"),
    (CHARGE_LIMIT, rd.MIN_TEMP_DC, ((51, 0), (53, 50), (150, 1000)), "PRO-09 coldest cell"),
    (DISCHARGE_LIMIT, rd.MIN_TEMP_DC, ((-190, 0), (-150, 1000)), "PRO-11 coldest cell"),
    (CHARGE_LIMIT, rd.MOS_DC, ((850, 1000), (1000, 0)), "PRO-17 MOSFETs"),
    (DISCHARGE_LIMIT, rd.MOS_DC, ((850, 1000), (1000, 0)), "PRO-17 MOSFETs"),
)
