#!/usr/bin/env python3
"""How long balancing takes: the firmware's own strategy on the cells of the rig, day after day.

    .venv/bin/python tools/studies/balance_study.py [--seeds N] [--days N]
    .venv/bin/python tools/studies/balance_study.py --year [--seeds N]

Each day a household empties the pack to about 15 %, the sun fills it, and a charger that obeys
the limits of the firmware holds the voltage it is asked for until the evening. The cells begin
with a spread of 60 mV at 3500 mV. Steps are 10 s near the top (two bled and one settled, as the
firmware's scans of 100 ms are) and a minute elsewhere. What the strategy sees has the AFE's
offsets, noise and rounding, and the error that bleeding makes. "At the top" is the end of that
hold, with the true voltages.

Writes docs/balancing.png and the part of docs/balancing.md between its two marks. With --year
the packs are charged full on each of 365 days: one with equal cells, which may never have a cell
at its alarm, and one whose cells begin 60 mV apart. That goes between the marks of the year.
"""

import argparse
import pathlib
import sys
from concurrent.futures import ProcessPoolExecutor

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import rooms  # noqa: E402
from rooms import ROOT  # noqa: E402

rooms.use(rooms.MODELS, rooms.MOCKS, ROOT / "lib", ROOT / "firmware")

from bms.words import readings as rd  # noqa: E402
from bms.charge.balancing import Balancing  # noqa: E402
from bms.limits.charge_voltage import ChargeVoltage  # noqa: E402
from bms.limits.derating import Derating  # noqa: E402
from bms.words.parameters import Parameters  # noqa: E402
from plant import Plant, Xorshift                               # noqa: E402
from profiles import am5000                                     # noqa: E402

CELLS = 16
START_MV = 60                   # spread of the cells at the beginning, at the top
AIM_MV = 10
STEP_S = 10
LONG_S = 60
NEAR_MV = 3375                  # long steps while the highest cell is below
BLEED_OHM = 68.0
FULL_SOC = 1.0035               # where the model's cells rest at 3500 mV
EQUAL_SOC = 1.0                 # where balanced cells begin: full, below 3500 mV at rest
EQUAL_LEAK_MA = 3.5
DAY_S = 86_400
EVENING_S = 17 * 3600
MARKS = ("<!-- study: begin -->", "<!-- study: end -->")
YEAR_MARKS = ("<!-- year: begin -->", "<!-- year: end -->")
YEAR_DAYS = 365
FULL_MV, TAIL_MA, FULL_S = 3455, 5000, 30   # an end of charge of am5000 (docs/reading.md)
_MASK = (1 << 30) - 1

# what is compared: name, parameters, cells that are high by START_MV (None: spread evenly)
CASES = (
    ("every cell off", {}, None),
    ("one cell high", {}, (7,)),
    ("two neighbours high", {}, (7, 8)),
    ("every cell off, at most 4 at once", {"bal_cells_most": 4}, None),
    ("every cell off, start at 10 mV", {"bal_diff_mv": 10}, None),
    ("balancing off", {"bal_enable": 0}, None),
)


def house_ma(second):
    """Load less sun, mA, at a second of the day; below 0: surplus. Charging is up to the sun."""
    hour = second / 3600
    load = 8000 if hour >= 17 else 5000 if 6 <= hour < 8 else 3000
    if not 8 <= hour < 17:
        return load
    part = (hour - 8) / 8.5
    return load - 160_000 * max(0.0, part * (1 - part))


class Seen:
    """What the strategy reads: the part of Measurements that it uses."""

    def __init__(self, seed):
        rng = Xorshift(seed ^ 0xAFE)
        self._rng = rng
        self._offset_mv = [rng.uniform(-1.5, 1.5) for _ in range(CELLS)]
        self.cells_mv = [0] * CELLS
        self.values = [0] * rd.COUNT
        self.doubts = 0
        self.dt_ms = 0

    def take(self, cells_mv, mask, current_ma, plant):
        noise = self._rng.next()
        for i in range(CELLS):
            mv = cells_mv[i] + self._offset_mv[i] + ((noise >> (i & 15) & 7) - 3.5) * 0.15
            if mask >> i & 1:
                mv -= 24
            mv += 12 * ((mask >> i & 2) // 2 + (mask << 1 >> i & 1))
            self.cells_mv[i] = int(mv + 0.5)
        values = self.values
        cells = self.cells_mv
        values[rd.MAX_CELL_MV] = max(cells)
        values[rd.MIN_CELL_MV] = min(cells)
        values[rd.CELL_DIFF_MV] = max(cells) - min(cells)
        values[rd.CELL_SUM_MV] = sum(cells)
        values[rd.CURRENT_MA] = int(current_ma)
        values[rd.DIE_DC] = int(plant.die_c * 10)
        values[rd.MIN_TEMP_DC] = int(min(plant.group_c) * 10)
        values[rd.MAX_TEMP_DC] = int(max(plant.group_c) * 10)
        values[rd.MOS_DC] = int(plant.mos_c * 10)


class Pack:
    """The plant of one seed, a charger, and the firmware's balancing and limits."""

    def __init__(self, seed, params=None, high=None, equal=False):
        self.plant = Plant(seed, soc=FULL_SOC, imbalance_mv=0 if high else START_MV,
                           start_us=EVENING_S * 1_000_000)
        if equal:               # a pack that is balanced, and stays so
            self.plant._soc0[:] = [EQUAL_SOC] * CELLS
            self.plant._leak_ma[:] = [EQUAL_LEAK_MA] * CELLS
        if high:
            raised = Plant(seed, soc=self._soc_at(3500 + START_MV))
            for i in high:
                self.plant._soc0[i] = raised._soc0[i]
        self.plant.set_fets(True, True, self.plant.t_us)
        values = Parameters(am5000.DEFAULTS)
        for name in params or ():
            values.set(name, params[name])
        self.balancing = Balancing(values, CELLS, STEP_S * 1000)
        self.derating = Derating(am5000.CURVES, values)
        self.voltage = ChargeVoltage(values, CELLS)
        self.alarm_mv = values["cell_ov_alarm_mv"]
        self.alarm_days = set()     # with a cell at its alarm, as read
        self.full_days = set()      # with an end of charge
        self._full_s = 0
        self.seen = Seen(seed)
        self.bled_j = 0.0
        self.bled_s = 0             # with at least one cell
        self.top_s = 0              # with the highest cell at 3500 mV or above
        self.hottest_c = 0.0
        self.spreads = []           # at the top, each day
        self.tops = []              # cells at the top, each day
        self.day_bled_j = []

    @staticmethod
    def _soc_at(mv):
        from plant import ocv_mv
        low, high = 0.99, 1.05
        for _ in range(40):
            half = (low + high) / 2
            if ocv_mv(half) < mv:
                low = half
            else:
                high = half
        return low

    def step(self):
        plant = self.plant
        cells = plant.epoch[1]
        seen = self.seen
        balancing = self.balancing
        near = max(cells) >= NEAR_MV
        dt_s = STEP_S if near else LONG_S
        seen.dt_ms = dt_s * 1000
        seen.take(cells, balancing.written, plant.current_ma, plant)
        now_us = plant.t_us & _MASK
        balancing.settle(seen, plant.t_us // 1000 & _MASK, now_us)
        balancing.step(seen, True, True, 0)
        mask = balancing.next_mask(True)
        if mask != balancing.written:
            plant.set_balance(mask, plant.t_us)
            balancing.wrote(mask, now_us)
        self.derating.aim(seen.values, 50_000)
        self.derating.step(1, 1, seen.dt_ms)
        values = seen.values
        self.voltage.wants_top = balancing.wants_top(values)
        self.voltage.step(values[rd.MAX_CELL_MV], values[rd.CELL_SUM_MV], seen.dt_ms)
        cvl_mv = self.voltage.cvl_mv
        if balancing.settled and values[rd.MAX_CELL_MV] >= self.alarm_mv:
            self.alarm_days.add(plant.t_us // 1_000_000 // DAY_S)
        at_full = values[rd.MAX_CELL_MV] >= FULL_MV and 0 <= values[rd.CURRENT_MA] <= TAIL_MA
        self._full_s = self._full_s + dt_s if at_full else 0
        if self._full_s >= FULL_S:
            self.full_days.add(plant.t_us // 1_000_000 // DAY_S)
        net_ma = house_ma(plant.t_us // 1_000_000 % DAY_S)
        if net_ma < 0:
            plant.charger_mv = cvl_mv
            plant.charger_ma = min(-net_ma, self.derating.ccl_ma)
            plant.load_ma = 0
        elif 8 <= plant.t_us // 1_000_000 % DAY_S / 3600 < 17:
            plant.charger_mv, plant.charger_ma, plant.load_ma = cvl_mv, 200, 0
        else:
            plant.charger_mv, plant.load_ma = None, net_ma
        if mask:
            self.bled_s += dt_s
            self.bled_j += dt_s * sum((cells[i] / 1000) ** 2 / BLEED_OHM
                                      for i in range(CELLS) if mask >> i & 1)
        if max(cells) >= 3500:
            self.top_s += dt_s
        self.hottest_c = max(self.hottest_c, plant.die_c)
        plant.step(dt_s * 1_000_000)

    def top(self):
        """Voltages of the cells now, with bleeding off."""
        plant = self.plant
        mask = plant.balance
        plant.set_balance(0, plant.t_us)
        cells = list(plant.epoch[1])
        plant.set_balance(mask, plant.t_us)
        return cells

    def run(self, days):
        self.tops.append(self.top())
        for _ in range(days):
            end_us = self.plant.t_us // 1_000_000 // DAY_S * DAY_S * 1_000_000
            end_us += (DAY_S + EVENING_S) * 1_000_000
            before_j = self.bled_j
            while self.plant.t_us < end_us:
                self.step()
            self.tops.append(self.top())
            self.day_bled_j.append(self.bled_j - before_j)
        self.spreads = [max(cells) - min(cells) for cells in self.tops]


def study(job):
    """One seed of one case: what is kept of it."""
    case, seed, days = job
    name, params, high = CASES[case]
    pack = Pack(seed, params, high)
    pack.run(days)
    below = [day for day in range(days + 1) if pack.spreads[day] < AIM_MV]
    return {"case": case, "seed": seed, "spreads": pack.spreads, "tops": pack.tops,
            "days": below[0] if below else None, "day_bled_j": pack.day_bled_j,
            "bled_wh": sum(pack.day_bled_j[:below[0]] if below else pack.day_bled_j) / 3600,
            "bled_h": pack.bled_s / 3600, "top_h": pack.top_s / 3600 / days,
            "cell_h": max(pack.balancing.seconds) / 3600, "die_c": pack.hottest_c,
            "alarm_days": len(pack.alarm_days),
            "later_mv": max(pack.spreads[below[0]:]) if below else pack.spreads[-1]}


def rows(results):
    """Markdown table, one row a case."""
    lines = ["| cells | days to < 10 mV, median (worst) | bled until then, Wh "
             "| most in the days after, mV | days with a cell at its alarm | longest of a cell, h "
             "| AFE die, most |",
             "| --- | --- | --- | --- | --- | --- | --- |"]
    for case, (name, _, _) in enumerate(CASES):
        found = [result for result in results if result["case"] == case]
        days = [result["days"] for result in found]
        reached = sorted(day for day in days if day is not None)
        if len(reached) == len(days):
            text = f"{reached[len(reached) // 2]} ({reached[-1]})"
        else:
            text = f"not reached by {len(days) - len(reached)} of {len(days)}"
        ends = [result["later_mv"] for result in found]
        bled = [result["bled_wh"] for result in found]
        lines.append(
            f"| {name} | {text} | {min(bled):.1f} to {max(bled):.1f} "
            f"| {min(ends):.1f} to {max(ends):.1f} "
            f"| {min(result['alarm_days'] for result in found)} to "
            f"{max(result['alarm_days'] for result in found)} "
            f"| {max(result['cell_h'] for result in found):.0f} "
            f"| {max(result['die_c'] for result in found):.0f} °C |")
    return lines


def picture(results, path):
    """Spread over days, cells before and after, energy a day."""
    import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot
    figure, axes = pyplot.subplots(1, 3, figsize=(13, 4), width_ratios=(3, 2, 2))
    for case, (name, _, _) in enumerate(CASES):
        found = [result for result in results if result["case"] == case]
        for k, result in enumerate(found):
            axes[0].plot(result["spreads"], color=f"C{case}", lw=1, alpha=0.7,
                         label=None if k else name)
    axes[0].axhline(AIM_MV, color="black", ls=":", lw=1)
    axes[0].set(xlabel="day", ylabel="highest less lowest cell at the top, mV", ylim=(0, 90))
    axes[0].legend(fontsize=8)
    first = results[0]
    for day, color in ((0, "C3"), (first["days"] or -1, "C0")):
        cells = first["tops"][day]
        mean = sum(cells) / CELLS
        label = "at the start" if not day else f"day {day}"
        axes[1].plot(range(1, CELLS + 1), [mv - mean for mv in cells], "o-", ms=4, lw=1,
                     color=color, label=label)
    axes[1].set(xlabel="cell", xticks=range(1, CELLS + 1, 3), ylabel="off the mean at the top, mV",
                title=f"{CASES[0][0]}, seed {first['seed']}")
    axes[1].legend(fontsize=8)
    for case in (0, 1, 2):
        found = [result for result in results if result["case"] == case]
        days = len(found[0]["day_bled_j"])
        axes[2].plot(range(1, days + 1),
                     [sum(result["day_bled_j"][k] for result in found) / len(found) / 3600
                      for k in range(days)], color=f"C{case}", label=CASES[case][0])
    axes[2].set(xlabel="day", ylabel="bled, Wh a day (mean of the seeds)", ylim=(0, None))
    axes[2].legend(fontsize=8)
    for axis in axes:
        axis.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def year(job):
    """A year of full charges: what the page says of it."""
    equal, seed, days = job
    pack = Pack(seed, equal=equal)
    pack.run(days)
    below = [day for day in range(days + 1) if pack.spreads[day] < AIM_MV]
    return {"equal": equal, "seed": seed, "full": len(pack.full_days),
            "alarm_days": len(pack.alarm_days), "alarm_first": min(pack.alarm_days, default=None),
            "days": below[0] if below else None, "most_mv": max(pack.spreads),
            "end_mv": pack.spreads[-1]}


def year_rows(results, days):
    """Markdown table, one row a pack; the test of a few days reads the same."""
    lines = ["| cells | seed | days with an end of charge | days with a cell at its alarm "
             "| days to < 10 mV | most at the top, mV | at the end, mV |",
             "| --- | --- | --- | --- | --- | --- | --- |"]
    for r in results:
        reached = "not reached" if r["days"] is None else r["days"]
        lines.append(f"| {'equal' if r['equal'] else f'{START_MV} mV apart'} | {r['seed']} "
                     f"| {r['full']} of {days} | {r['alarm_days']} "
                     f"| {'-' if r['equal'] else reached} "
                     f"| {r['most_mv']:.1f} | {r['end_mv']:.1f} |")
    return lines


def insert(path, lines, marks=MARKS):
    """Put *lines* between the marks of the page."""
    text = path.read_text("utf-8")
    begin, end = text.index(marks[0]) + len(marks[0]), text.index(marks[1])
    path.write_text(text[:begin] + "\n" + "\n".join(lines) + "\n" + text[end:], "utf-8")


def main_year(options):
    days = options.days or YEAR_DAYS
    jobs = [(equal, seed, days) for seed in range(1, options.seeds + 1)
            for equal in (True, False)]
    if options.jobs == 1:
        results = [year(job) for job in jobs]
    else:
        with ProcessPoolExecutor(options.jobs) as pool:
            results = list(pool.map(year, jobs))
    results.sort(key=lambda r: (not r["equal"], r["seed"]))
    lines = [f"{days} days; made by `balance_study.py --year`. " + rooms.figures_of(), ""]
    lines += year_rows(results, days)
    print("\n".join(lines))
    if not options.dry:
        insert(ROOT / "docs" / "balancing.md", lines, YEAR_MARKS)
    good = all(r["full"] == days and not r["alarm_days"] if r["equal"]
               else r["days"] is not None and r["days"] <= 12 for r in results)
    return 0 if good else 1


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=4, help="of each case (default 4)")
    parser.add_argument("--days", type=int, help="of each (default 16, with --year 365)")
    parser.add_argument("--year", action="store_true", help="a year of full charges")
    parser.add_argument("--jobs", type=int, default=2, help="processes (default 2)")
    parser.add_argument("--dry", action="store_true", help="print the table, write nothing")
    options = parser.parse_args()
    if options.year:
        return main_year(options)
    options.days = options.days or 16
    jobs = [(case, seed, options.days) for case in range(len(CASES))
            for seed in range(1, options.seeds + 1)]
    with ProcessPoolExecutor(options.jobs) as pool:
        results = list(pool.map(study, jobs))
    lines = [f"{options.seeds} packs each, {options.days} days, "
             f"{sum(r['top_h'] for r in results if r['case'] == 0) / options.seeds:.1f} h a day "
             "with a cell at 3500 mV or above; made by `make balance-report`. "
             + rooms.figures_of(), ""]
    lines += rows(results)
    print("\n".join(lines))
    if not options.dry:
        picture(results, ROOT / "docs" / "balancing.png")
        insert(ROOT / "docs" / "balancing.md", lines)
    reached = all(result["days"] is not None for result in results if result["case"] in (0, 1, 2))
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main())
