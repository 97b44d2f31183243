"""The protection rows of the specification as bench scenarios: stimulus, effect, time, release.

Numbers are the document's, not the code's. Each case:
  item      id
  start     plant and set-up before the stimulus: fields of the rig's `open` plant and `set`
  past      stimulus just past the threshold            opens   FETs that open
  delay_s   of the row                                   inside  stimulus just inside
  release   steps (set fields, seconds to wait, FETs closed afterwards), in order
"""

CHG, DSG = "chg", "dsg"
BOTH = (CHG, DSG)
DRAIN = {"load_ma": 5000}
NO_LOAD = {"load_ma": None}
# holds the terminals up while cells move: a diode drop below the stack would bear a current out.
# No cell jumps by 0.3 V beside 0.3 A: only terminals whose zero is known (settle_s) say that no
# more flows, where a dead sensor would show the same
CHARGER = {"charger_mv": 57_700, "charger_ma": 300}
NO_CHARGER = {"charger_mv": None, "charger_ma": None}


def cells(mv):
    """Every cell at *mv*."""
    return {"cell_mv": [mv] * 16}


def cell_temps(dc):
    """Every cell thermistor at *dc*."""
    return {"cell_temp_dc": [dc] * 4}


CASES = (
    {"item": "PRO-01", "past": {"cell_mv": {"7": 3605}}, "inside": {"cell_mv": {"7": 3594}},
     "opens": (CHG,), "delay_s": 3.0,
     "release": (({"cell_mv": {"7": 3400}}, 5, (DSG,)), ({"load_ma": 900}, 3, (DSG,)),
                 (DRAIN, 2, BOTH))},
    # one cell makes no full string (SOC-05): SOC stays below 96 %, and voltage alone releases
    {"item": "PRO-01", "name": "voltage", "past": {"cell_mv": {"7": 3605}},
     "inside": {"cell_mv": {"7": 3594}}, "opens": (CHG,), "delay_s": 3.0,
     "release": (({"cell_mv": {"7": 3290}}, 5, BOTH),)},
    {"item": "PRO-02", "past": {"cell_mv": {"2": 2695}}, "inside": {"cell_mv": {"2": 2706}},
     "opens": (DSG,), "delay_s": 3.0,
     "release": ((cells(3290), 5, (CHG,)), (cells(3310), 28, (CHG,)), (cells(3310), 4, BOTH))},
    {"item": "PRO-02", "name": "charger", "past": {"cell_mv": {"2": 2695}},
     "inside": {"cell_mv": {"2": 2706}}, "opens": (DSG,), "delay_s": 3.0,
     "release": (({"charger_mv": 56000, "charger_ma": 5000}, 2, BOTH),)},
    {"item": "PRO-03", "start": {"params": {"cell_ov_trip_mv": 3700}},
     "past": dict(cells(3602), **CHARGER), "inside": dict(cells(3597), **CHARGER),
     "opens": (CHG,), "delay_s": 3.0, "settle_s": 4,
     "release": ((cells(3390), 5, (DSG,)), (cells(3370), 5, (DSG,)),
                 (dict(DRAIN, **NO_CHARGER), 2, BOTH))},
    {"item": "PRO-04", "past": cells(2747), "inside": cells(2753), "opens": (DSG,),
     "delay_s": 3.0, "release": ((cells(2990), 5, (CHG,)), (cells(3010), 28, (CHG,)),
                                     (cells(3010), 4, BOTH))},
    {"item": "PRO-05", "start": {"params": {"limiter_enable": 0}},
     "past": {"current_ma": 111_000}, "inside": {"current_ma": 109_000}, "opens": (CHG,),
     "delay_s": 3.0,
     "release": (({"current_ma": 0}, 50, (DSG,)), ({"current_ma": 0}, 12, BOTH))},
    {"item": "PRO-05", "name": "discharge", "start": {"params": {"limiter_enable": 0}},
     "past": {"current_ma": 111_000}, "inside": {"current_ma": 109_000}, "opens": (CHG,),
     "delay_s": 3.0, "release": (({"current_ma": -1500}, 2, BOTH),)},
    {"item": "PRO-06", "past": {"current_ma": -111_000}, "inside": {"current_ma": -109_000},
     "opens": (DSG,), "delay_s": 3.0,
     "release": (({"current_ma": 0}, 50, (CHG,)), ({"current_ma": 0}, 12, BOTH))},
    {"item": "PRO-06", "name": "charge", "past": {"current_ma": -111_000},
     "inside": {"current_ma": -109_000}, "opens": (DSG,), "delay_s": 3.0,
     "release": (({"current_ma": 1500}, 2, BOTH),)},
    {"item": "PRO-07", "start": {"params": {"dsg_oc1_delay_ms": 10000}},
     "past": {"current_ma": -151_500}, "inside": {"current_ma": -148_500, "_seconds": 5},
     "opens": (DSG,), "delay_s": 0.1,
     "release": (({"current_ma": 0}, 50, (CHG,)), ({"current_ma": 0}, 12, BOTH))},
    {"item": "PRO-09", "past": cell_temps(47), "inside": cell_temps(55), "opens": (CHG,),
     "delay_s": 3.0, "release": ((cell_temps(75), 5, (DSG,)), (cell_temps(85), 3, BOTH))},
    {"item": "PRO-10", "past": {"cell_temp_dc": {"1": 585}},
     "inside": {"cell_temp_dc": {"1": 575}}, "opens": BOTH, "delay_s": 3.0,
     "release": (({"cell_temp_dc": {"1": 535}}, 5, ()), ({"cell_temp_dc": {"1": 525}}, 3, BOTH))},
    {"item": "PRO-10", "name": "charge-only", "start": {"params": {"dsg_ot_trip_dc": 630}},
     "past": {"cell_temp_dc": {"3": 585}}, "inside": {"cell_temp_dc": {"3": 575}},
     "opens": (CHG,), "delay_s": 3.0, "release": (({"cell_temp_dc": {"3": 525}}, 3, BOTH),)},
    {"item": "PRO-12", "start": {"params": {"chg_ot_trip_dc": 600}},
     "past": {"cell_temp_dc": {"0": 585}}, "inside": {"cell_temp_dc": {"0": 575}},
     "opens": (DSG,), "delay_s": 3.0,
     "release": (({"cell_temp_dc": {"0": 535}}, 5, (CHG,)),
                 ({"cell_temp_dc": {"0": 525}}, 3, BOTH))},
    {"item": "PRO-11", "past": cell_temps(-203), "inside": cell_temps(-195), "opens": BOTH,
     "already": (CHG,), "delay_s": 3.0,
     "release": ((cell_temps(-105), 5, ()), (cell_temps(-95), 3, (DSG,)))},
    {"item": "PRO-13", "past": {"ambient_dc": -204}, "inside": {"ambient_dc": -195},
     "opens": BOTH, "delay_s": 3.0,
     "release": (({"ambient_dc": -155}, 5, ()), ({"ambient_dc": -145}, 3, BOTH))},
    {"item": "PRO-14", "past": {"ambient_dc": 755}, "inside": {"ambient_dc": 745},
     "opens": BOTH, "delay_s": 3.0,
     "release": (({"ambient_dc": 655}, 5, ()), ({"ambient_dc": 645}, 3, BOTH))},
    {"item": "PRO-17", "start": {"spread": 0}, "past": {"mos_dc": 1055},
     "inside": {"mos_dc": 1045}, "opens": BOTH, "delay_s": 3.0,
     "release": (({"mos_dc": 855}, 5, ()), ({"mos_dc": 845}, 3, BOTH))},
)
