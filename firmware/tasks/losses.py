"""Which records were ever stored, and which of them are lost (SAF-09).

"Never written" and "lost" look alike in a file system, so the names of all that was written are a
record of their own. Lost is
  a record that was written and is not there any more, or whose copies are both damaged
  a record whose contents cannot be taken over
  a copy that is older than the newest that the event records say was stored
  everything: no record at all, but event records of earlier starts in the ring
It stays lost, over restarts and though it is written anew, until a person says that it is known.
"""

from bms.records.kept import number_of
from slots import Slots

LOST, DAMAGED, UNREADABLE, DROPPED, OLDER = 1, 2, 3, 4, 5


class Losses:
    """Kept as a record like the others.

    found    there was such a record: this is not the first start with this firmware
    lost     {name: LOST, ...} of what nobody has acknowledged yet
    noticed  [(name, LOST, ...)] since start, of all records
    """

    def __init__(self, files):
        self._slots = Slots(files, "stored")
        self._known: set = set()
        self.lost: dict = {}
        self.noticed: list = []
        self.dirty = False
        data = self._slots.load()
        self.found = data is not None
        for line in (data or b"").decode().split("\n"):
            if line.startswith("!"):
                self.lost[line[2:]] = int(line[1])
            elif line:
                self._known.add(line)

    @property
    def slots(self):
        """Where it is kept."""
        return self._slots

    @property
    def nothing_known(self):
        """No record was ever written, as far as can be seen."""
        return not self._known

    def look(self, name, slots, data):
        """A record was loaded: *data* of *slots*, or None."""
        if data is not None:
            self.stored(name)
        elif slots.present == 2 or slots.present and name in self._known:
            self.lose(name, DAMAGED)
        elif name in self._known:
            self.lose(name, LOST)

    def lose(self, name, how):
        """*name* is lost, *how*: LOST, DAMAGED, ..."""
        self.noticed.append((name, how))
        if number_of(name) >= 0 and name not in self.lost:
            self.lost[name] = how
            self.dirty = True

    def stored(self, name):
        """*name* is in flash."""
        if name not in self._known:
            self._known.add(name)
            self.dirty = True

    def acknowledge(self, name=None):
        """A person knows of *name*, or of all."""
        if name is None:
            self.lost.clear()
        else:
            self.lost.pop(name, None)
        self.dirty = True

    def to_bytes(self):
        lines = ["!%d%s" % (how, name) for name, how in self.lost.items()]
        return "\n".join(sorted(self._known) + lines).encode()

    def saved(self):
        self.dirty = False
