"""Values as a person types them, files, plots, calibration: packctl without a pack."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

import packctl
from packctl import calibration, errors, files, plotting, units
from packctl.schema import Param

ROOT = pathlib.Path(__file__).resolve().parents[2]
OV = Param("2;cell_ov_trip_mv;mV;3000;3700;3600;3600;PRO-01 protection")
NOMINAL = Param("80;nominal_ma;mA;5000;100000;50000;50000;")
TEMP = Param("46;chg_ut_trip_dc;dC;-200;300;50;50;")
COUNT = Param("29;oc_lock_trips;;2;100;10;10;")


@pytest.mark.req("HST-02", "PAR-01")
@pytest.mark.parametrize("param, text, value", [
    (OV, "3600", 3600), (OV, "3600mV", 3600), (OV, "3.6V", 3600), (OV, "3.6 V", 3600),
    (OV, "3,6V", 3600), (NOMINAL, "50A", 50_000), (NOMINAL, "50000", 50_000), (TEMP, "-5C", -50),
    (TEMP, "4.5°C", 45), (TEMP, "-50", -50), (COUNT, "10", 10), (OV, "1", 1)])
def test_a_value_may_have_its_usual_unit(param, text, value):
    assert units.parse(param, text) == value


@pytest.mark.req("HST-02")
@pytest.mark.parametrize("param, text, sentence", [
    (OV, "3.6", "Did you mean 3600, which is 3.6 V?"), (NOMINAL, "50", "Did you mean 50000"),
    (OV, "3.6A", "is in mV, and '3.6A' is not"), (OV, "high", "is no number"),
    (COUNT, "2.5", "no whole number"), (OV, "3600.5mV", "no whole number"), (OV, "", "no number")])
def test_a_wrong_unit_says_what_would_be_right(param, text, sentence):
    with pytest.raises(errors.WrongUnit) as wrong:
        units.parse(param, text)
    assert sentence in str(wrong.value) and param.name in str(wrong.value)


def test_a_person_reads_usual_units():
    assert units.shown(3600, "mV") == "3.6 V"
    assert units.shown(-50, "dC") == "-5 °C"
    assert units.shown(654, "dC") == "65.4 °C"
    assert units.shown(None, "mV") == "–"
    assert units.shown(3, "") == "3"
    assert units.fixed(52_000, "mV", 2) == "52.00 V"


@pytest.mark.req("HST-02")
def test_each_error_has_an_exit_code_of_its_own_and_is_told_in_help():
    from packctl.cli.app import HELP
    codes = [error.exit_code for error in errors.ALL]
    assert len(set(codes)) == len(codes) and not set(codes) & {0, 1, 2, 130}
    for code in codes:
        assert f" {code} " in HELP.replace("\n", " "), code


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "b.json"
    files.write_json(path, {"params": {"a": 1}})
    assert files.values_of(json.loads(path.read_text()), "b") == {"a": 1}
    with pytest.raises(errors.BadFile, match="cannot be written"):
        files.write_json(tmp_path / "no" / "b.json", {})
    with pytest.raises(errors.BadFile, match="cannot be read"):
        files.read_json(tmp_path / "none.json")
    path.write_text("{")
    with pytest.raises(errors.BadFile, match="no JSON"):
        files.read_json(path)
    for wrong in ([], {"params": []}, {"params": {"a": "b"}}, {}):
        with pytest.raises(errors.BadFile, match="no backup"):
            files.values_of(wrong, "x")


def test_plots_show_what_there_is(tmp_path):
    rows = [{"time": f"2026-01-01T00:00:{i:02d}Z", "pack_v": 52 + i / 10, "current_a": None,
             "soc_pct": ""} for i in range(30)]
    series = plotting.series_of(rows)
    assert [s.name for s in series] == ["pack_v"]
    text = plotting.text_of(series, 60)
    assert "52.00 to 54.90 V" in text and "▁" in text and "█" in text
    plotting.write_svg(tmp_path / "p.svg", series)
    assert "<polyline" in (tmp_path / "p.svg").read_text()
    assert plotting.sparkline([None, None], 10) == "··"
    assert plotting.sparkline([1.0, 1.0], 10) == "▄▄"


class FakePack:
    """Shows what a test has put in."""

    def __init__(self, report, value):
        self._report, self._value = report, value

    def report(self):
        return self._report

    def get(self, name):
        return self._value


@pytest.mark.req("MEA-04", "HST-02")
def test_calibration_goes_from_what_is_shown_to_what_the_meter_shows(monkeypatch):
    monkeypatch.setattr(calibration, "_LOOK_S", 0)
    report = {"cell_mv": [3300] * 16, "stack_mv": 52_800, "current_ma": -19_800,
              "temp_dc": [250, 251, 252, 253], "mos_dc": 300, "ambient_dc": None}
    for channel, reference, now, expected in (
            ("cell3", 3305, 2, ("cal_cell3_offset_mv", -3, 3300)),
            ("stack", 52_700, 0, ("cal_stack_offset_mv", 100, 52_800)),
            ("temp2", 250, 0, ("cal_temp2_offset_dc", 2, 252)),
            ("mos", 290, 0, ("cal_temp4_offset_dc", 10, 300)),
            ("zero", 0, 5, ("cal_current_offset_ma", -19_795, -19_800)),
            ("current", -20_000, 0, ("cal_current_gain_ppm", 10_101, -19_800))):
        assert calibration.new_value(FakePack(report, now), channel, reference) == expected
    for channel, reference in (("ambient", 250), ("current", 20_000), ("current", -5_000),
                               ("cell16", 3300), ("nonsense", 0)):
        with pytest.raises(errors.WrongUnit):
            calibration.new_value(FakePack(report, 0), channel, reference)


@pytest.mark.req("HST-02", "REC-03")
def test_what_is_packed_with_the_tool_is_enough_to_decide(tmp_path):
    """As the wheel has it (pyproject.toml), without the clone around it."""
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    packed = re.findall(r'^"([^"]+)" = "(packctl/packed/[^"]+)"', text, re.M)
    assert len(packed) >= 5
    shutil.copytree(ROOT / "tools/packctl", tmp_path / "packctl")
    for source, target in packed:
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, tmp_path / target)
        else:
            (tmp_path / target).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / source, tmp_path / target)
    code = ("from packctl import decisions, replaying; from packctl.screen.panel import Panel; "
            "replaying._Firmware(); wire = Panel('b1-5.1-48').wire("
            "{'state': 'standby', 'direction': 'standby'}, 0); "
            "print(decisions.folders()[0].name, wire['lamps']['onoff'])")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                          cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(tmp_path)})
    assert done.stdout == "packed 1\n", done.stderr


def test_the_version_is_the_firmwares():
    text = (ROOT / "firmware/version.py").read_text()
    assert f'"{packctl.__version__}"' in text
