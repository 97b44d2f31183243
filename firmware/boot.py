"""Outputs to their safe level and no interruption by a byte: nothing more belongs here."""

import machine
import micropython
import sys

micropython.kbd_intr(-1)            # SAF-10: also in main.py, each file is started with Ctrl-C on

_at_prompt = False
if sys.platform == "rp2":
    import prompt_rp2
    _at_prompt = prompt_rp2.resume()    # a soft reset at the prompt

for _name in ("AFE_BOTHOFF", "PCS_DE", "PAR_DE", "DO1", "DO2"):
    machine.Pin(_name, machine.Pin.OUT, value=_name == "DO1" and _at_prompt)
