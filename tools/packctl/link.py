"""The debug protocol in one place: frames, schema, client, ports.

Three layers, each usable alone:

  encode(), Splitter     bytes <-> frames; the port also carries plain text, which is passed on
  Client                 requests and their meaning; knows no port, is given an exchange function
  StreamExchange         such a function for a stream, as open_serial() makes one of a port

    link = Client(StreamExchange(open_serial("/dev/ttyUSB0")))
    print(link.hello()["version"], link.report()["cell_mv"])
"""

from __future__ import annotations

from .client import Client
from .errors import LinkError, Refused
from .frames import (
    ANSWER, CODES, COMMAND, ERROR, EVENT_SCHEMA, EVENTS, HELLO, ITEM_NAMES, MAX_FROM_PACK,
    MAX_TO_PACK, NAMES, PARAM_GET, PARAM_LIST, PARAM_RESTORE, PARAM_SET, PROVOKE, REPEATABLE,
    REPORT, SCHEMA, SEQ_CLIENT, SEQ_RIG, SOF, VERSION, Frame, Splitter, check_answer, crc16,
    encode,
)
from .ports import BAUD, Port, StreamExchange
from .schema import Field, Name, Param, Schema

__all__ = [
    "ANSWER", "BAUD", "CODES", "COMMAND", "ERROR", "EVENTS", "EVENT_SCHEMA", "HELLO",
    "ITEM_NAMES", "MAX_FROM_PACK", "MAX_TO_PACK", "NAMES", "PARAM_GET", "PARAM_LIST",
    "PARAM_RESTORE", "PARAM_SET", "PROVOKE", "REPEATABLE", "REPORT", "SCHEMA", "SEQ_CLIENT",
    "SEQ_RIG", "SOF", "VERSION", "Client", "Field", "Frame", "LinkError", "Name", "Param", "Port",
    "Refused", "Schema", "Splitter", "StreamExchange", "check_answer", "crc16", "encode",
    "open_serial",
]


def open_serial(port: str, baud: int = BAUD) -> Port:
    """A stream for *port*: a serial port, a pseudo-terminal, or an address such as socket://."""
    return Port(port, baud)
