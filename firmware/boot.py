"""Outputs to their safe level, before anything else: nothing more belongs here."""

import machine

for _name in ("AFE_BOTHOFF", "PCS_DE", "PAR_DE", "DO1", "DO2"):
    machine.Pin(_name, machine.Pin.OUT, value=0)
