"""Functions of as many arguments as the protection step, that do nothing. For mpy-cross."""

import micropython


def nothing_python(rows, state, readings, count, dt_ms, conditions, forget_ms, afe_new):
    return 0


@micropython.viper
def nothing_viper(rows: ptr32, state: ptr32, readings: ptr32, count: int, dt_ms: int,
                  conditions: int, forget_ms: int, afe_new: int) -> int:
    return 0
