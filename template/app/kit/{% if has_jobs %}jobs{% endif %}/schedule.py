"""Validates the schedules of jobs."""

import re

_FIELDS = {
    "minute": range(60),
    "hour": range(24),
    "day of the month": range(1, 32),
    "month": range(1, 13),
    "day of the week": range(7),
}
_PART = re.compile(r"\*(/[1-9]\d*)?|(\d+)|(\d+)-(\d+)(/[1-9]\d*)?")


def checked(cron: str) -> str:
    """Return the expression. Raise ValueError unless every queue reads it in the same way.

    Five fields (crontab(5)) of `*`, numbers, ranges, lists and steps; 0 is Sunday. The queues
    disagree on days of the month together with days of the week, so only one may be restricted.
    """
    fields = cron.split()
    if len(fields) != len(_FIELDS):
        raise ValueError(f"a schedule has five fields, such as */15 * * * *; got {cron!r}")
    for (name, allowed), field in zip(_FIELDS.items(), fields, strict=True):
        for part in field.split(","):
            found = _PART.fullmatch(part)
            numbers = [int(each) for each in found.group(2, 3, 4) if each] if found else [-1]
            if not all(each in allowed for each in numbers) or numbers != sorted(numbers):
                raise ValueError(
                    f"{part!r} is not a valid {name}: write *, numbers from {allowed[0]} to "
                    f"{allowed[-1]}, ranges or steps"
                )
    if fields[2] != "*" and fields[4] != "*":
        raise ValueError(f"restrict days of the month or of the week, not both: {cron!r}")
    return cron
