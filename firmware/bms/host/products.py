"""The profiles that there are, found by being there, and the one that was chosen (PRF-03).

A profile is a file of firmware/profiles/, called like its NAME with _ for - and dots: a module, or
a data file (.json, product_data.py). It needs no entry anywhere: a file system is asked for its
folder, an image with frozen modules has the list that boards/application.py makes when it is
built. One more data file may be in the flash of the board, put there over the debug port.
"""

import os
import sys

from bms.host import product_data
from bms.limits.default_curves import curves_of
from bms.words.parameters import check_profile

_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789-._"


def module_name(name):
    """Name of the file of profile *name*, without its ending."""
    return name.replace("-", "_").replace(".", "_")


def _folders():
    for folder in sys.path:
        if not folder.startswith("."):          # .frozen
            yield (folder + "/" if folder else "") + "profiles"


def _text_of(module):
    """The data file *module* of a folder of profiles, or None."""
    for folder in _folders():
        try:
            with open(folder + "/" + module + ".json") as file:
                return file.read()
        except OSError:
            pass
    return None


def of_file(module):
    """The profile of that file name, as it is; None: there is none."""
    try:
        found = getattr(__import__("profiles." + module), module)
    except (ImportError, AttributeError):
        text = _text_of(module)
        return None if text is None else product_data.read(text)
    data = getattr(found, "DATA", None)         # a data file that was frozen
    return found if data is None else product_data.read(data)


def find(name, installed=None):
    """The profile *name*; ValueError says why there is none.

    installed   text of the data file in the board's flash, or None
    """
    if not name:
        raise ValueError("a profile without a name is not in this firmware")
    if not all(letter in _LETTERS for letter in name):
        raise ValueError("%r is no name of a profile: small letters, digits, - . and _" % name)
    found = of_file(module_name(name))
    if found is None and installed is not None:
        own = product_data.read(installed)
        if own.NAME == name:
            found = own
    if found is None:
        raise ValueError("profile %s is not in this firmware" % name)
    if getattr(found, "NAME", None) != name:
        raise ValueError("the file of profile %s calls itself %s" % (
            name, getattr(found, "NAME", None)))
    return found


def check(profile):
    """The Parameters of *profile*; ValueError with the name of what is wrong if it contradicts
    itself. What it leaves out is filled in."""
    params = check_profile(profile)
    if not hasattr(profile, "CURVES"):
        profile.CURVES = curves_of(params)
        check_profile(profile)
    return params


def names(installed=None):
    """Names of all profiles."""
    modules = set()
    try:
        from profile_names import MODULES
        modules.update(MODULES)
    except ImportError:
        pass
    for folder in _folders():
        try:
            files = os.listdir(folder)
        except OSError:
            continue
        for file in files:
            stem, dot, ending = file.partition(".")
            if not file.startswith("_") and dot and ending in ("py", "json"):
                modules.add(stem)
    found = []
    for module in sorted(modules):
        try:
            found.append(of_file(module).NAME)
        except (AttributeError, SyntaxError, NameError, ValueError):
            pass                    # a file that is no profile: find() says so of its name
    if installed is not None:
        try:
            name = product_data.read(installed).NAME
            if name not in found:
                found.append(name)
        except ValueError:
            pass
    return found


class Choice:
    """What was chosen, as something that is kept.

    name   of the profile; "": none was ever chosen
    """

    def __init__(self, name=""):
        self.name = name
        self.dirty = False

    def choose(self, name, installed=None):
        """From the next reset on, profile *name*; ValueError if there is none."""
        find(name, installed)
        self.name = name
        self.dirty = True

    def to_bytes(self):
        return self.name.encode()

    def saved(self):
        self.dirty = False

    def from_bytes(self, data):
        self.name = bytes(data).decode()        # UnicodeError is a ValueError


class Installed:
    """The data file of a profile in the board's flash, and the one that is coming in.

    text    of the one that is there, None: none
    """

    def __init__(self, data=None):
        self.text = None
        self.dirty = False
        self._coming = None         # bytearray of a file that is being sent
        self._got = 0
        if data is not None:
            self.from_bytes(data)

    def begin(self, length):
        """A file of *length* bytes comes in parts."""
        if not 2 <= length <= product_data.LONGEST:
            raise ValueError("the file has %d bytes; it must have 2 to %d" % (
                length, product_data.LONGEST))
        self._coming = bytearray(length)
        self._got = 0

    def put(self, at, data):
        """A part of it, from place *at* on; parts come in order, one may come again."""
        if self._coming is None:
            raise ValueError("no file has begun: profile begin BYTES")
        if not 0 <= at <= self._got or at + len(data) > len(self._coming):
            raise ValueError("%d bytes at %d; the next part begins at %d of %d" % (
                len(data), at, self._got, len(self._coming)))
        self._coming[at:at + len(data)] = data
        self._got = max(self._got, at + len(data))

    def end(self):
        """All of it is there: take it if it is a profile, and return its name; ValueError."""
        coming, self._coming = self._coming, None
        if coming is None or self._got < len(coming):
            raise ValueError("the file is not complete")
        text = coming.decode()                  # UnicodeError is a ValueError
        profile = product_data.read(text)
        if of_file(module_name(profile.NAME)) is not None:
            raise ValueError("name: %s; a profile of this firmware has it; it must be another"
                             % profile.NAME)
        find(profile.NAME, text)
        check(profile)
        self.text = text
        self.dirty = True
        return profile.NAME

    def to_bytes(self):
        return (self.text or "").encode()

    def saved(self):
        self.dirty = False

    def from_bytes(self, data):
        self.text = bytes(data).decode() or None
