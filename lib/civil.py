"""Calendar and seconds since 2020-01-01, both UTC: seconds stay small integers until 2054."""

_DAY_S = 86_400
_BEFORE = (0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334)     # days before a month
_MONTH_DAYS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def is_date(year, month, day):
    """True for a day of the calendar in 2000..2099."""
    if not (2000 <= year <= 2099 and 1 <= month <= 12 and day >= 1):
        return False
    return day <= _MONTH_DAYS[month - 1] + (month == 2 and year % 4 == 0)


def seconds_of(year, month, day, hour, minute, second):
    """Seconds since 2020; negative before. The date must be one of the calendar."""
    days = (year - 2020) * 365 + (year - 2017) // 4 + _BEFORE[month - 1] + day - 1
    if month > 2 and year % 4 == 0:
        days += 1
    return days * _DAY_S + (hour * 60 + minute) * 60 + second


def civil_of(seconds):
    """(year, month, day, hour, minute, second) of *seconds* since 2020."""
    days, rest = divmod(seconds, _DAY_S)
    year = 2020
    while days >= 366 - (year % 4 != 0):
        days -= 366 - (year % 4 != 0)
        year += 1
    month = 1
    while days >= _MONTH_DAYS[month - 1] + (month == 2 and year % 4 == 0):
        days -= _MONTH_DAYS[month - 1] + (month == 2 and year % 4 == 0)
        month += 1
    return year, month, days + 1, rest // 3600, rest // 60 % 60, rest % 60


def text_of(seconds):
    """ISO 8601 text of *seconds* since 2020."""
    return "%04d-%02d-%02dT%02d:%02d:%02dZ" % civil_of(seconds)


def parse(text):
    """Seconds since 2020 of "2026-05-17T12:30:00" (a space for the T; Z at the end allowed).

    raises  ValueError if it is not such a text, or no such time
    """
    if text.endswith("Z"):
        text = text[:-1]
    if len(text) != 19 or text[4] + text[7] + text[13] + text[16] != "--::" \
            or text[10] not in "T ":
        raise ValueError("%s is not a time such as 2026-05-17T12:30:00" % text)
    parts = [text[0:4], text[5:7], text[8:10], text[11:13], text[14:16], text[17:19]]
    for part in parts:
        for c in part:
            if c not in "0123456789":
                raise ValueError("%s is not a time such as 2026-05-17T12:30:00" % text)
    year, month, day, hour, minute, second = [int(part) for part in parts]
    if not is_date(year, month, day) or year < 2020 or hour > 23 or minute > 59 or second > 59:
        raise ValueError("%s is no time in 2020 to 2099" % text)
    return seconds_of(year, month, day, hour, minute, second)
