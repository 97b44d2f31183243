"""Readers of the Pylontech console, written from captures of real packs and from what is known of
the programs that read them. Nothing of the firmware is used here.

Three ways of reading are in use: by tokens (ESPHome's component), by fixed columns (sketches for
the ESP8266), and by columns of the heading (adapters for home automation).
"""

import re

END = b"$$\r\n\rpylon>"         # of every answer; a sketch looks for exactly these bytes
DONE = b"\r\n\rCommand completed successfully"

# `pwr`: widths of the columns in captured packs, one blank at the end of each
PWR_WIDTHS = (6, 7, 7, 7, 7, 7, 7, 7, 9, 9, 9, 9, 9, 21, 9, 9)
PWR_NAMES = ("Power", "Volt", "Curr", "Tempr", "Tlow", "Thigh", "Vlow", "Vhigh", "Base.St",
             "Volt.St", "Curr.St", "Temp.St", "Coulomb", "Time", "B.V.St", "B.T.St")


def body(raw, word):
    """The lines of an answer; its frame is looked at byte by byte."""
    echo = word.encode() + b"\n\r@"
    assert raw.startswith(echo), raw[:60]
    assert raw.endswith(END), raw[-60:]
    end = raw.rindex(DONE)
    assert raw[end + len(DONE):] == b"\r\n\r" + END
    text = raw[len(echo):end].decode("ascii")
    lines = [line for line in re.split(r"[\r\n]+", text) if line]
    for line in raw.split(b"\n"):
        assert len(line) < 256, "ESPHome's line buffer is full"
    return lines


def tokens(raw):
    """`pwr` as ESPHome's component takes it: {number: fields} of the lines that it accepts."""
    found = {}
    for line in raw.decode("ascii").split("\n"):
        words = re.split(r"[ \t]+", line.strip("\r").strip(" "))
        if not re.fullmatch(r"\d+", words[0]) or int(words[0]) <= 0:
            continue
        try:
            numbers = [int(word) for word in words[1:8]]
            coulomb = int(words[12].split("%")[0])
            mos = int(words[17])
        except (ValueError, IndexError):
            continue
        found[int(words[0])] = {
            "volt": numbers[0], "curr": numbers[1], "tempr": numbers[2], "tlow": numbers[3],
            "thigh": numbers[4], "vlow": numbers[5], "vhigh": numbers[6], "base": words[8],
            "volt_st": words[9], "curr_st": words[10], "temp_st": words[11], "soc": coulomb,
            "mos": mos}
    return found


def columns(raw):
    """`pwr` by fixed places behind CR CR LF and the number, as a sketch for the ESP8266 does:
    rows 1 to 8 have to be there."""
    found = {}
    for number in range(1, 9):
        at = raw.index(b"\r\r\n%d     " % number) + 3
        row = raw[at:raw.index(b"\r", at)].decode("ascii")
        places = [sum(PWR_WIDTHS[:i]) for i in range(len(PWR_WIDTHS) + 1)]
        fields = {name: row[places[i]:places[i + 1]].strip() for i, name in enumerate(PWR_NAMES)}
        if fields["Base.St"] != "Absent":
            found[number] = fields
    return found


def headed(lines):
    """A table whose heading says where its columns are: [{name: text}]."""
    heading = lines[0]
    names = list(re.finditer(r"\S+", heading))
    rows = []
    for line in lines[1:]:
        row = {}
        for i, name in enumerate(names):
            end = names[i + 1].start() if i + 1 < len(names) else None
            row[name.group()] = line[name.start():end].strip()
        rows.append(row)
    return rows


def pairs(lines):
    """`Name : value` lines: {name: value}."""
    found = {}
    for line in lines:
        match = re.match(r"(.+\S)\s+:\s(.*)", line)
        if match:
            found[match[1].strip()] = match[2].strip()
    return found


def bat_rows(lines):
    """`bat`: the rows by the widths of captured packs."""
    rows = []
    for line in lines[1:]:
        match = re.match(r"(.{9})(.{9})(.{9})(.{9})(.{13})(.{13})(.{13})(.{13})(.{9})(.{10,17})"
                         r"(.{1,3})$", line)
        assert match, line
        rows.append([part.strip() for part in match.groups()])
    return rows


def log_records(lines):
    """`log`: [{name: value}], a record begins with Index."""
    records = []
    for line in lines:
        match = re.match(r"(.+\S)\s+:\s(.*)", line)
        if match and match[1].strip() == "Index":
            records.append({})
        if match:
            records[-1][match[1].strip()] = match[2].strip()
    return records
