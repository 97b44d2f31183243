"""Days of full charges on the bench's cells with the firmware's own charge voltage and balancing.

A year of it was 0 days with a cell at its alarm but the first, which begins with cells at rest at
3500 mV; a test plays some days.
"""

import pytest
from balance_study import DAY_S, Pack
from bms.words import readings as rd


@pytest.mark.req("COM-05", "PRO-01", "SOC-01")
def test_equal_cells_are_charged_day_after_day_without_an_alarm():
    pack = Pack(1)
    plant = pack.plant
    plant._soc0[:] = [sum(plant._soc0) / 16] * 16
    plant._leak_ma[:] = [3.5] * 16
    full, steps, step = set(), [0], pack.step

    def look():
        step()
        values = pack.seen.values
        at_full = values[rd.MAX_CELL_MV] >= 3455 and 0 <= values[rd.CURRENT_MA] <= 5000
        steps[0] = steps[0] + 1 if at_full else 0
        if steps[0] >= 3:                       # 30 s
            full.add(plant.t_us // 1_000_000 // DAY_S)

    pack.step = look
    pack.run(5)
    assert pack.alarm_days <= {0}
    assert full >= {1, 2, 3, 4, 5}
    assert max(pack.spreads) < 3
