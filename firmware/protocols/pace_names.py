"""The inverters that PACE's boards offer by name (COM-11): 23 on CAN, 25 on RS485.

Frames of some are published and are a set of their own here (can/layout.py VARIANTS, the protocols
of pcs.py). Of the others nothing is: such a name has a number behind those, and speaks as one of
them. A row is (parameter, words of the numbers with an own set, PACE's code of each of them, names
of the others with 0 between, their codes, the number whose set each of them speaks).
"""

NO_CODE = 0xFF              # PACE has no number for it

(PARAM, OWN, OWN_CODES, NAMES, CODES, BASES) = range(6)

CAN = ("can_variant",
       b"Pylontech 1.2\0Pylontech 1.3\0Pylontech 2\0Victron\0SMA\0Deye\0Growatt\0Growatt LV\0"
       b"Goodwe\0Solis\0Luxpower\0Sofar\0Schneider\0Pytes",
       b"\x01\x01\x10\x03\x07\x01\x11\x02\x08\x0C\x05\x0A\x04\xFF",
       b"PACE\0SoroTec/SRD\0Studer\0Must\0DIDU\0Senergy\0TBB\0Must V202\0Afore\0INVT\0Fuji\0"
       b"Sofar V21003",
       b"\x00\x06\x09\x0B\x0D\x0E\x0F\x12\x13\x14\x15\x16",
       b"\0\0\x02\0\0\0\x02\0\x02\0\0\x0B")

RS485 = ("pcs_protocol",
         b"as each request asks\0Pylontech\0PACE\0PACE Modbus\0Voltronic Modbus",
         b"\x01\x01\xFF\x00\x03",
         b"Growatt\0Schneider\0Phocos\0LuxPower\0Solar\0Lithium/SMK\0EP\0RTU04\0LuxPower V01\0"
         b"LuxPower V03\0SRNE\0Leoch\0Pylon F\0Afore\0UPS AGXN\0Orex\0Xiongtao\0Rongke\0Xinrui\0"
         b"Eltek\0GT\0Leoch V106",
         b"\x02\x04\x05\x06\x07\x08\x09\x0A\x0B\x0C\x0D\x0E\x0F\x10\x11\x12\x13\x14\x15\x16\x17"
         b"\x18",
         b"\x01" * 22)


def base_of(row, number):
    """The number with a set of its own that *number* speaks."""
    own = len(row[OWN_CODES])
    return number if number < own else row[BASES][number - own]


def code_of(row, number):
    """PACE's code for *number*, or NO_CODE."""
    own = len(row[OWN_CODES])
    return row[OWN_CODES][number] if number < own else row[CODES][number - own]


def number_of(row, code, first=0):
    """The number for PACE's *code*, from *first* on, or -1."""
    found = row[OWN_CODES].find(bytes((code,)), first)
    if found >= 0:
        return found
    found = row[CODES].find(bytes((code,)))
    return -1 if found < 0 else len(row[OWN_CODES]) + found


def name_of(row, number):
    """The name of *number*, and how it speaks if that is another one's way."""
    own = len(row[OWN_CODES])
    if number < own:
        return row[OWN].split(b"\0")[number].decode()
    return "%s: no frames of it are published, so as %s" % (
        row[NAMES].split(b"\0")[number - own].decode(), name_of(row, base_of(row, number)))


def lines(row):
    """What there is to choose from, a line each."""
    for number in range(len(row[OWN_CODES]) + len(row[CODES])):
        code = code_of(row, number)
        yield "%s %2d  %s%s" % (row[PARAM], number, name_of(row, number),
                                "" if code == NO_CODE else " (PACE %02X)" % code)
