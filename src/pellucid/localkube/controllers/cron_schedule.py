"""Cron schedules: five fields or a name, and the next time they mean.

Source: Kubernetes docs, "CronJob - Schedule syntax"; crontab(5).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

NAMES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_SEARCHED_DAYS = 366 * 5


class InvalidSchedule(ValueError):
    """The text is not a schedule; the message says which field is wrong."""


@dataclass(frozen=True)
class Schedule:
    """The minutes, hours, days and months at which something is due."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    """0 is Sunday."""
    either_day: bool
    """Both days and weekdays are restricted: then one of the two is enough."""

    def next_after(self, moment: datetime) -> datetime | None:
        """The first due minute after `moment`, in its time zone; None if there is none in five years."""
        start = moment.replace(second=0, microsecond=0) + timedelta(minutes=1)
        for offset in range(_SEARCHED_DAYS):
            day = start if offset == 0 else (start + timedelta(days=offset)).replace(hour=0, minute=0)
            if not self._is_due_on(day):
                continue
            for hour in sorted(self.hours):
                for minute in sorted(self.minutes):
                    if (hour, minute) >= (day.hour, day.minute):
                        return day.replace(hour=hour, minute=minute)
        return None

    def _is_due_on(self, day: datetime) -> bool:
        if day.month not in self.months:
            return False
        by_day, by_weekday = day.day in self.days, (day.weekday() + 1) % 7 in self.weekdays
        return by_day or by_weekday if self.either_day else by_day and by_weekday


def parse_schedule(text: str) -> Schedule:
    """Read a schedule. Raises InvalidSchedule."""
    fields = NAMES.get(text.strip(), text).split()
    if len(fields) != 5:
        raise InvalidSchedule(f"expected exactly 5 fields, found {len(fields)}: [{text}]")
    minute, hour, day, month, weekday = fields
    weekdays = _values(weekday, 0, 7, _DAYS, 0)
    return Schedule(
        _values(minute, 0, 59),
        _values(hour, 0, 23),
        _values(day, 1, 31),
        _values(month, 1, 12, _MONTHS, 1),
        frozenset(number % 7 for number in weekdays),
        not day.startswith(("*", "?")) and not weekday.startswith(("*", "?")),
    )


def _values(field: str, low: int, high: int, names: tuple[str, ...] = (), first: int = 0) -> frozenset[int]:
    def number(text: str) -> int:
        if text.lower() in names:
            return names.index(text.lower()) + first
        if not text.isdigit() or not low <= int(text) <= high:
            raise InvalidSchedule(f"{text!r} in {field!r} is not between {low} and {high}")
        return int(text)

    found: set[int] = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        if step and (not step.isdigit() or int(step) < 1):
            raise InvalidSchedule(f"{step!r} in {field!r} is not a step")
        if span in ("*", "?"):
            start, end = low, high
        elif "-" in span:
            start, end = (number(side) for side in span.split("-", 1))
        else:
            start = number(span)
            end = high if step else start
        if end < start:
            raise InvalidSchedule(f"{span!r} in {field!r} ends before it starts")
        found.update(range(start, end + 1, int(step) if step else 1))
    return frozenset(found)
