"""Methods kept as attributes of their object, for what is called in every scan.

MicroPython looks for a method among the object's own names first, and only then in its class. A
table of names that is full has no gap to stop at, so each such look goes through all of it: 59
names of a pack, several times a scan. A method that stands among the object's own names is found
at once, and the table has room again.
"""


def bind(owner, *names):
    """Keep the methods *names* of *owner* as its attributes; once, when it is made."""
    for name in names:
        setattr(owner, name, getattr(owner, name))
