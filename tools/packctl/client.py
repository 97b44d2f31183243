"""Requests of the debug protocol and their meaning; knows no port, is given an exchange function.

    client = Client(StreamExchange(open_port("/dev/ttyUSB0")))
    print(client.hello()["version"], client.report()["cell_mv"])
"""

from __future__ import annotations

import datetime
import difflib
import struct
from collections.abc import Callable, Mapping
from typing import Any

from .errors import LinkError, NoSuchParameter, OtherVersion
from .frames import (
    COMMAND, EVENT_SCHEMA, EVENTS, HELLO, ITEM_NAMES, MAX_FROM_PACK, MAX_TO_PACK, PARAM_GET,
    PARAM_LIST, PARAM_RESTORE, PARAM_SET, PROVOKE, REPORT, SCHEMA,
)
from .schema import Name, Param, Schema

Exchange = Callable[[int, bytes], bytes]

PROTOCOL = "1"          # of HELLO: what the numbers of requests and their payloads mean

# which field of the report lists the names of what an event happens to
_NAMED_BY = {"state": "state", "sleep": "sleep_reason", "wake": "woken_by",
             "sleep_refused": "sleep_refused"}
# which numbers of the list of names an event has
_NUMBERED = {"alarm": "item", "alarm_clear": "item", "trip": "item", "release": "item",
             "lock": "item", "unlock": "item", "fault": "fault", "fault_clear": "fault",
             "first_out": "first_out"}
_EPOCH = datetime.datetime(2020, 1, 1)


class Client:
    """The pack's debug port as an object.

    exchange   exchange(kind, payload) -> payload of the answer; raises Refused or LinkError

    stored     after a set of parameters: True: in flash; "not yet"; False: the pack's flash does
               not take it; None: not known
    """

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self.stored: bool | str | None = None
        self.forget()

    def forget(self) -> None:
        """After a reset of the pack: ask for everything anew."""
        self._schema: Schema | None = None
        self._schema_id: int | None = None
        self._event_schema: Schema | None = None
        self._params: dict[str, Param] | None = None
        self._names: dict[tuple[str, int], Name] | None = None

    def hello(self) -> dict[str, str]:
        """dict of product, version, board, profile, uptime_s, ..."""
        text = self._exchange(HELLO, b"").decode("utf-8", "replace")
        hello = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
        if hello.get("proto", PROTOCOL) != PROTOCOL:
            raise OtherVersion(
                f"This pack (firmware {hello.get('version', 'unknown')}) speaks version "
                f"{hello['proto']} of the debug protocol, and this tool version {PROTOCOL}: "
                "use the tool that came with that firmware.")
        return hello

    def names(self) -> dict[tuple[str, int], Name]:
        """{(kind, number): Name} of items and faults, and of both as "first_out"."""
        if self._names is None:
            names: dict[tuple[str, int], Name] = {}
            for line in "\n".join(self._page_texts(ITEM_NAMES, "list of names")).splitlines():
                name = Name(line)
                names[name.kind, name.number] = names["first_out", name.first_out] = name
            self._names = names
        return self._names

    def _pages(self, kind: int, what: str) -> Schema:
        return Schema("\n".join(self._page_texts(kind, what)))

    def _page_texts(self, kind: int, what: str) -> list[str]:
        text: list[str] = []
        page = 0
        for _ in range(256):
            answer = self._exchange(kind, bytes((page,)))
            if not answer:
                raise LinkError(f"an empty page of the {what}")
            text.append(answer[1:].decode("utf-8", "replace"))
            if answer[0] == 0:
                return text
            if answer[0] <= page:
                raise LinkError(f"page {answer[0]} of the {what} after page {page}")
            page = answer[0]
        raise LinkError(f"the {what} has no end")

    def schema(self) -> Schema:
        """Layout of the report."""
        if self._schema is None:
            self._schema = self._pages(SCHEMA, "report schema")
        return self._schema

    def event_schema(self) -> Schema:
        """Layout of an event record."""
        if self._event_schema is None:
            self._event_schema = self._pages(EVENT_SCHEMA, "event schema")
        return self._event_schema

    def decode_report(self, payload: bytes) -> dict[str, Any]:
        """dict of an answer to REPORT; fetches the schema if it has not been."""
        if len(payload) < 2:
            raise LinkError("a report without its schema's number")
        number = payload[0] | payload[1] << 8
        if self._schema_id not in (None, number) or (
                self._schema is not None and self._schema.size != len(payload) - 2):
            self._schema = None                 # another firmware or product than before
        report = self.schema().decode(payload[2:])
        self._schema_id = number
        if "faults_more" in report:
            report["faults"] += report.pop("faults_more")
        if "first_out" in report:
            number = report["first_out"]
            name = self.names().get(("first_out", number))
            report["first_out"] = name.id if name else "none" if number is None else number
        soc = report.get("soc_cpct")
        if "soc_cpct" in report:
            report["soc"] = None if soc is None else soc / 100
        return report

    def report(self) -> dict[str, Any]:
        """Everything that the pack measures and decides now, by the names of its schema."""
        return self.decode_report(self._exchange(REPORT, b""))

    def events(self, since: int = 0) -> list[dict[str, Any]]:
        """Records after sequence number *since*, oldest first, as dicts.

        Beside the fields of its schema each has *name*, what it happened to (None where the number
        says it all), *words*, that for a person (None where the name is a word), and *time*, ISO
        8601 UTC (None: the clock was not set); a change of state has *before*, the state that was
        left.
        """
        records = self._event_records(since)
        for record in records:
            record["name"] = self._name_of(record)
            record["words"] = None
            if record.get("event") in _NUMBERED:
                name = self.names().get((_NUMBERED[record["event"]], record["item"]))
                if name is not None:
                    record["name"], record["words"] = name.id, name.words
            if record.get("event") == "state":
                record["before"] = self._name_of({**record, "item": record["value"]})
            seconds = record.get("time_s")
            record["time"] = None if seconds is None else (
                _EPOCH + datetime.timedelta(seconds=seconds)).isoformat() + "Z"
        return records

    def _name_of(self, record: Mapping[str, Any]) -> str | None:
        """What *record* happened to: an id of the specification, a state, a parameter, ..."""
        kind, item = record.get("event"), record.get("item")
        if kind == "parameter":
            if item is None:
                return "all restored"
            number = str(item | max(0, record["cell"]) << 8)
            return next((p.name for p in self.params().values() if str(p.id) == number), None)
        field = next((f for f in self.schema().fields if f.name == _NAMED_BY.get(str(kind))), None)
        if field is None or item is None or item >= len(field.names):
            return None
        return str(field.names[item])

    def _event_records(self, since: int) -> list[dict[str, Any]]:
        schema = self.event_schema()
        size = schema.size
        at_once = max(2, min(255, (MAX_FROM_PACK - 1) // size))
        records: list[dict[str, Any]] = []
        last: int | None = None
        while True:
            start = since if last is None else last
            answer = self._exchange(EVENTS, struct.pack("<IB", start, at_once))
            count = answer[0] if answer else 0
            if len(answer) != 1 + count * size and answer:
                raise LinkError(f"{count} events of {size} bytes in {len(answer)} bytes")
            new = [schema.decode(answer[1 + i * size:1 + (i + 1) * size])
                   for i in range(count)]
            new = [r for r in new if last is None or r["seq"] > last]
            if not new:
                return records
            records += new
            last = new[-1]["seq"]

    def params(self, fresh: bool = False) -> dict[str, Param]:
        """{name: Param} of everything that can be set."""
        if self._params is None or fresh:
            table: dict[str, Param] = {}
            first = 0
            while first != 0xFFFF:
                answer = self._exchange(PARAM_LIST, struct.pack("<H", first))
                if len(answer) < 2:
                    raise LinkError("an empty page of the parameter list")
                following = answer[0] | answer[1] << 8
                for line in answer[2:].decode("utf-8", "replace").splitlines():
                    if line.strip():
                        param = Param(line)
                        table[param.name] = param
                if following != 0xFFFF and following <= first:
                    raise LinkError("the parameter list does not get on")
                first = following
            self._params = table
        return self._params

    def param(self, name: str | int) -> Param:
        """The Param for a name, or for a number that is an id."""
        params = self.params()
        if name in params:
            return params[name]
        for param in params.values():
            if str(param.id) == str(name):
                return param
        near = difflib.get_close_matches(str(name), params, 3)
        hint = f"; did you mean {', '.join(near)}?" if near else "; `packctl params` lists them"
        raise NoSuchParameter(f"there is no parameter {name!r}{hint}")

    def get_param(self, name: str | int) -> int:
        """Its value now, in the unit of the registry."""
        return self._value(PARAM_GET, self.param(name), b"")

    def set_param(self, name: str | int, value: int) -> int:
        """Set it; returns the value that the pack took. Raises Refused with its reason."""
        param = self.param(name)
        self._check_number(param, value)
        return self._value(PARAM_SET, param, struct.pack("<i", value))

    def _note_stored(self, answer: bytes, size: int) -> bytes:
        """Take the last byte off an answer that has one more: is what was set in flash?"""
        if len(answer) != size + 1:
            return answer
        said: dict[int, bool | str] = {0: True, 1: "not yet", 2: False}
        self.stored = said.get(answer[size])
        return answer[:size]

    @staticmethod
    def _check_number(param: Param, value: int) -> None:
        if not -(1 << 31) <= value < 1 << 31:
            raise LinkError(f"{param.name}: {value} is no 32-bit number; "
                            f"it goes from {param.min} to {param.max} {param.unit}".rstrip())

    def set_params(self, values: Mapping[str, int]) -> dict[str, int]:
        """Set {name: value} as one set: all or none. Returns what the pack took."""
        if not values:
            return {}
        if len(values) > MAX_TO_PACK // 6:
            raise LinkError(f"{len(values)} values are too many for one set; "
                            f"{MAX_TO_PACK // 6} is the most")
        for name, value in values.items():
            self._check_number(self.param(name), value)
        params = [self.param(name) for name in values]
        payload = b"".join(struct.pack("<Hi", param.id, value)
                           for param, value in zip(params, values.values()))
        answer = self._note_stored(self._exchange(PARAM_SET, payload), len(payload))
        if len(answer) != len(payload):
            raise LinkError("the answer to a set of parameters is not about it")
        for at, param in enumerate(params):
            number, param.value = struct.unpack_from("<Hi", answer, 6 * at)
            if number != param.id:
                raise LinkError(f"the answer for parameter {param.name} is not about it")
        return {param.name: param.value for param in params}

    def _value(self, kind: int, param: Param, value: bytes) -> int:
        answer = self._note_stored(self._exchange(kind, struct.pack("<H", param.id) + value), 6)
        if len(answer) != 6 or struct.unpack_from("<H", answer)[0] != param.id:
            raise LinkError(f"the answer for parameter {param.name} is not about it")
        param.value, = struct.unpack_from("<i", answer, 2)
        return param.value

    def restore_params(self) -> None:
        """All parameters back to their defaults."""
        self._exchange(PARAM_RESTORE, b"")
        self._params = None

    def command(self, text: str) -> str:
        """A console command ("why", "sleep", ...); returns its text."""
        return self._exchange(COMMAND, text.encode()).decode("utf-8", "replace")

    def provoke(self, text: str) -> None:
        """Make the firmware misbehave: "task_hang NAME", "task_raise NAME", "heap_full"."""
        self._exchange(PROVOKE, text.encode())
