"""docs/protocol.md: its examples and its client, against the firmware."""

import pathlib
import re
import time
import types

import pytest
from packctl.link import Port
from rig import Rig

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "protocol.md").read_text("utf-8")
LINK = (ROOT / "firmware" / "protocols" / "debug" / "link.py").read_text("utf-8")
_PATIENCE = 200         # looks at the port for one answer; a look waits at most 20 ms


@pytest.fixture
def port():
    with Rig() as rig:
        answer = rig.open("host", spread=0)
        rig.play()
        stream = Port(answer["ports"]["debug"])
        yield stream
        stream.close()


def read(port, count):
    """*count* bytes of *port*, or what has come after many looks."""
    got = b""
    for _ in range(_PATIENCE):
        got += port.read(count - len(got))
        if len(got) >= count:
            break
        time.sleep(0)
    return got


def read_frame(port):
    head = read(port, 6)
    assert len(head) == 6, "no answer"
    return head + read(port, (head[4] | head[5] << 8) + 2)


@pytest.mark.host
@pytest.mark.req("COM-04", "PAR-01", "PAR-03")
def test_every_example_is_answered_as_the_page_says(port):
    examples = re.findall(r"> ([0-9A-F ]+)\n< ([0-9A-F. ]+)\n", PAGE)
    assert len(examples) == PAGE.count("\n> ") >= 7
    for sent, wanted in examples:
        port.write(bytes.fromhex(sent))
        got = read_frame(port).hex(" ").upper()
        assert re.match(wanted.replace("..", "[0-9A-F]{2}"), got), (sent, got)


@pytest.mark.host
@pytest.mark.req("COM-04")
def test_the_client_of_the_page_prints_a_report(port, capsys):
    code = re.search(r"```python\n(.*?)```", PAGE, re.S)[1]
    stream = types.SimpleNamespace(write=port.write, read=lambda count: read(port, count))
    serial = types.SimpleNamespace(Serial=lambda *args, **kwargs: stream)
    exec(compile(code.replace(", serial\n", "\n"), "protocol.md", "exec"), {"serial": serial})
    printed = capsys.readouterr().out
    assert re.search(r"^soc_cpct \d+ cpct - ", printed, re.M)
    cells = re.search(r"^cell_mv ([\d ]+) mV - ", printed, re.M)[1].split()
    assert len(cells) == 16 and all(3000 < int(cell) < 3600 for cell in cells)


def test_the_page_has_every_type_and_limit_of_the_firmware():
    handled = set(re.findall(r"(0x[01][0-9A-F]): Link\._", LINK))
    assert set(re.findall(r"^\| (0x[0-9A-F]+) \|", PAGE, re.M)) == handled
    for name, words in (("_LONGEST_IN", "at most {} to the pack"),
                        ("_LONGEST_OUT", "and {} from it")):
        assert words.format(re.search(rf"{name} = (\d+)", LINK)[1]) in PAGE
