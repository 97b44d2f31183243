"""What a task raised last, and where: kept over a reset (SAF-03)."""

import sys

_LONGEST = 200


def place_of(error):
    """(file, line) of the innermost frame that the traceback of *error* has, or None.

    Compiled functions leave none in MicroPython's; then it is that of who called them.
    """
    print_exception = getattr(sys, "print_exception", None)
    if print_exception is None:             # CPython
        trace = error.__traceback__
        place = None
        while trace is not None:
            place = (trace.tb_frame.f_code.co_filename, trace.tb_lineno)
            trace = trace.tb_next
        return place
    import io
    text = io.StringIO()
    print_exception(error, text)
    place = None
    for line in text.getvalue().split("\n"):
        words = line.split('"')             # File "x.py", line 7, in step
        if len(words) == 3 and words[2].startswith(", line "):
            place = (words[1], int(words[2][7:].split(",")[0]))
    return place


class LastError:
    """text: the newest one, "": there never was any; dirty: it is not kept yet."""

    def __init__(self):
        self.text = ""
        self.dirty = False

    def note(self, name, error):
        """Task *name* raised *error*. Never raises: there may be no memory."""
        try:
            kind = type(error).__name__
            place = place_of(error)
            where = " at %s:%d" % (place[0].split("/")[-1], place[1]) if place else ""
            self.text = ("%s: %s: %s%s" % (name, kind, error, where))[:_LONGEST]
        except Exception:               # noqa: BLE001 - the record has the task all the same
            self.text = name
        self.dirty = True

    def to_bytes(self):
        return self.text.encode()

    def saved(self):
        self.dirty = False

    def from_bytes(self, data):
        """Take over what was kept. ValueError if it is no text."""
        try:
            self.text = bytes(data).decode()
        except UnicodeError:
            raise ValueError("no text")
