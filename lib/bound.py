"""Methods kept as attributes of their object, for what is called in every scan.

MicroPython looks for a method among the object's own names first, and only then in its class. A
table of names that is full has no gap to stop at, so each such look goes through all of it: 59
names of a pack, several times a scan. A method that stands among the object's own names is found
at once, and bind() leaves the table with room.
"""

from micropython import const

# Sizes that a table of names grows to when it is full (py/map.c); it never shrinks
_SIZES = (0, 2, 4, 6, 8, 10, 12, 17, 23, 29, 37, 47, 59, 73, 97, 127, 167, 223)
_SMALL = const(12)              # places: so few are soon looked through
_FULLEST_PCT = const(85)
_PASSING = "abcdefghijklmnopqrstuvwxyz"     # names that come and go


def bind(owner, *names):
    """Keep the methods *names* of *owner* as its attributes; once, when it is made, at the end."""
    for name in names:
        setattr(owner, name, getattr(owner, name))
    _make_room(owner)


def _make_room(owner):
    """Let the table of names of *owner* grow, if it is nearly full."""
    own = len(owner.__dict__)
    size = 0
    for size in _SIZES:
        if size >= own:
            break
    if size <= _SMALL or 100 * own <= _FULLEST_PCT * size:
        return
    passing = [name for name in _PASSING if not hasattr(owner, name)][:size - own + 1]
    for name in passing:
        setattr(owner, name, None)
    for name in passing:
        delattr(owner, name)
