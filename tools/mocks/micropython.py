"""`micropython` for CPython. On MicroPython the builtin module wins over this file.

viper modules fail to import here (no ptr8), which selects their Python twins.
"""


def const(value):
    return value


def native(function):
    return function


def viper(function):
    raise NameError("viper code does not run on CPython")


def opt_level(level=None):
    return 0


def mem_info(verbose=None):
    pass


def kbd_intr(char):
    pass


def alloc_emergency_exception_buf(size):
    pass


def heap_lock():
    """Nothing to lock: CPython proves nothing about allocation."""
    return 0


def heap_unlock():
    return 0
