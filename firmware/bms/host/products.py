"""The profiles that there are, found by being there, and the one that was chosen (PRF-03).

A profile is a file of firmware/profiles/, called like its NAME with _ for - and dots. It needs no
entry anywhere: a file system is asked for its folder, an image with frozen modules has the list
that boards/application.py makes when it is built.
"""

import os
import sys

_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789-._"


def module_name(name):
    """Name of the module of profile *name*."""
    return name.replace("-", "_").replace(".", "_")


def find(name):
    """The module of profile *name*; ValueError says why there is none."""
    for letter in name:
        if letter not in _LETTERS:
            raise ValueError("%s is no name of a profile" % name)
    if not name:
        raise ValueError("a profile without a name is not in this firmware")
    module = module_name(name)
    try:
        found = getattr(__import__("profiles." + module), module)
    except (ImportError, AttributeError):
        raise ValueError("profile %s is not in this firmware" % name)
    if getattr(found, "NAME", None) != name:
        raise ValueError("the file of profile %s calls itself %s" % (
            name, getattr(found, "NAME", None)))
    return found


def names():
    """Names of all profiles."""
    modules = set()
    try:
        from profile_names import MODULES
        modules.update(MODULES)
    except ImportError:
        pass
    for folder in sys.path:
        try:
            files = os.listdir((folder + "/" if folder else "") + "profiles")
        except OSError:
            continue
        modules.update(file[:-3] for file in files
                       if file.endswith(".py") and not file.startswith("_"))
    found = []
    for module in sorted(modules):
        try:
            found.append(getattr(__import__("profiles." + module), module).NAME)
        except (ImportError, AttributeError, SyntaxError, NameError):
            pass                    # a file that is no profile: find() says so of its name
    return found


class Choice:
    """What was chosen, as something that is kept.

    name   of the profile; "": none was ever chosen
    """

    def __init__(self, name=""):
        self.name = name
        self.dirty = False

    def choose(self, name):
        """From the next reset on, profile *name*; ValueError if there is none."""
        find(name)
        self.name = name
        self.dirty = True

    def to_bytes(self):
        return self.name.encode()

    def saved(self):
        self.dirty = False

    def from_bytes(self, data):
        self.name = bytes(data).decode()        # UnicodeError is a ValueError
