"""docs/first-hour.md: what a board without any chip says on its console."""

import pathlib
import re

import pytest
from packctl.link import Port

PAGE = (pathlib.Path(__file__).resolve().parents[2] / "docs" / "first-hour.md").read_text("utf-8")


def said_after(rig, port, line):
    """What comes on *port* in a second after *line* was typed."""
    port.write(line.encode() + b"\r")
    said = b""
    for _ in range(10):
        rig.run(100)
        said += port.read(4096)
    return said.decode("utf-8", "replace").replace("\r\n", "\n")


@pytest.mark.req("COM-10", "SAF-02")
@pytest.mark.targets("host", "unix", "rp2040")
def test_a_board_without_chips_says_so_as_the_page_shows(rig, target):
    answer = rig.open(target, spread=0)
    rig.set(fault={"afe_silent": True, "rtc_dead": True, "can_no_ack": True})
    rig.power(on=False)
    rig.run(500)
    rig.power(on=True)
    rig.run(9000)
    port = Port(answer["ports"]["usb"])
    try:
        for line in ("status", "why"):
            said = said_after(rig, port, line)
            block = re.search(rf"`{line}`[^`]*```text\n(.*?)```", PAGE, re.S)[1]
            for shown in block.splitlines():
                shown = re.sub(r"up \d:\d\d:\d\d", "up ", shown).split("up ")[0]
                assert shown in said, (shown, said)
        assert "outside" in said_after(rig, port, "set cell_ov_trip_mv 4500")
        assert rig.get()["wire"]["fets"] == {"chg": 0, "dsg": 0, "pchg": 0}
    finally:
        port.close()
