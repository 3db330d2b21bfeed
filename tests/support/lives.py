"""Synthetic users: the readings that a monitor sees of them, and the truth about every window.

`life` returns the lines of the project's sample generator, holidays first, then as they happen:

{"type": "reading", "key", "read_at", "utilization", "resets_at", "source"}    what a monitor sees
{"type": "window", "key", "started_at", "resets_at", "run_out_at", "ended_at", "end", "peak",
 "blocked_seconds", "wanted_seconds"}                                          the truth, at its end
{"type": "event", "kind", "key", "at", ...}                                    the truth

The same arguments give the same lines. ``run_out_at`` is when the window first reached 100 %, or
None. ``end`` is ``reset``, ``early_reset`` or ``open``. A minute is the step; a day has sessions, a
session has bursts and pauses, a burst has turns, and a turn costs a log-normal share of the 5-hour
allowance. A full window takes no more.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

FIVE, SEVEN = "five_hour", "seven_day"
LENGTH = {FIVE: 300, SEVEN: 10_080}  # minutes
MON_FRI, ALL_WEEK, WEEKEND = range(5), range(7), (5, 6)
BEFORE = 14  # days lived before the first line: a monitor begins in the middle of a window

# sessions: (weekdays, first hour, last hour, probability, spread of both ends in minutes)
# turn: minutes between turns in a burst; cost: median share of the 5-hour allowance, in points;
# week: points of the 7-day allowance for one point of the 5-hour one; watched: the monitor runs
# "always" or only "present" (around the sessions).
BASE: dict[str, Any] = {
    "sessions": [(MON_FRI, 9, 12.3, 0.93, 25), (MON_FRI, 13.2, 17.6, 0.93, 30),
                 (MON_FRI, 20.5, 22.5, 0.15, 40)],
    "burst": 22, "pause": 11, "turn": 2.2, "cost": 0.50, "spread": 0.9, "week": 0.13,
    "by_week": 0.30, "by_day": 0.35, "by_burst": 0.5, "fan_out": 0.10, "trend": 0.0,
    "ease": 0.0, "anchor": "fixed", "watched": "present", "statusline": False,
    "plan": (), "away": (), "granted": (), "faults": False,
}  # fmt: skip
PROFILES: dict[str, dict[str, Any]] = {
    "office": {},
    "careful": {"ease": 0.7, "cost": 0.62, "statusline": True},  # slows down when a bar fills
    "night": {"sessions": [(ALL_WEEK, 21, 26.5, 0.8, 45), (MON_FRI, 12.2, 13, 0.2, 15)],
              "cost": 0.85, "burst": 35, "pause": 9, "week": 0.12},
    "agents": {"sessions": [(ALL_WEEK, 0, 24, 1.0, 0)], "burst": 95, "pause": 16, "turn": 3.0,
               "cost": 0.85, "spread": 0.6, "by_day": 0.15, "by_burst": 0.3, "week": 0.07,
               "watched": "always"},
    "weekend": {"sessions": [(WEEKEND, 10, 13.5, 0.85, 60), (WEEKEND, 15, 21, 0.85, 70),
                             (MON_FRI, 20, 22, 0.25, 30)], "cost": 0.8},
    "sporadic": {"sessions": [(ALL_WEEK, 10, 11.5, 0.12, 120), (ALL_WEEK, 16, 18, 0.14, 150),
                              (ALL_WEEK, 21, 22.5, 0.08, 60)], "cost": 1.0, "by_week": 0.6,
                 "anchor": "first", "watched": "always"},
    "crunch": {"trend": 0.14, "cost": 0.34, "statusline": True},  # more every week
    "upgrade": {"cost": 0.85, "plan": ((0.55, 4.0),)},  # 5x to 20x after 55 % of the time
    "downgrade": {"cost": 0.16, "plan": ((0.6, 0.25),)},
    "holiday": {"away": ((0.45, 17),)},  # days away
    "freelance": {"sessions": [(ALL_WEEK, 10, 13, 0.6, 70), (ALL_WEEK, 14.5, 19, 0.6, 80),
                               (ALL_WEEK, 21, 24, 0.35, 60)], "cost": 0.6, "by_day": 0.6},
    "faults": {"granted": (0.3, 0.62), "faults": True, "statusline": True, "cost": 0.7},
}  # fmt: skip


class Chance:
    """Random numbers that depend on nothing but the seed: one source, inverse transforms."""

    def __init__(self, seed: str) -> None:
        self.random = random.Random(seed).random  # noqa: S311 - no secret

    def normal(self) -> float:
        return math.sqrt(-2 * math.log(1 - self.random())) * math.cos(math.tau * self.random())

    def lognormal(self, median: float, sigma: float) -> float:
        return median * math.exp(sigma * self.normal())


def sessions(
    profile: dict[str, Any], first: date, days: int, zone: ZoneInfo, chance: Chance
) -> list[tuple[int, int]]:
    """Return (start, end) minutes since the start, in order and apart."""
    origin = datetime(first.year, first.month, first.day, tzinfo=zone).timestamp()
    away = [(int(at * days), int(at * days) + length) for at, length in profile["away"]]
    found = []
    for day in range(days):
        today = first + timedelta(days=day)
        for weekdays, begin, end, probability, spread in profile["sessions"]:
            draws = chance.random(), chance.normal(), chance.normal()
            if today.weekday() not in weekdays or draws[0] > probability:
                continue
            if any(gone <= day < back for gone, back in away):
                continue
            midnight = datetime(today.year, today.month, today.day, tzinfo=zone)
            # Wall clock: an office opens at nine in summer and in winter.
            wall = [midnight + timedelta(minutes=hour * 60 + spread * draw)
                    for hour, draw in ((begin, draws[1]), (end, draws[2]))]  # fmt: skip
            start, stop = (round((moment.timestamp() - origin) / 60) for moment in wall)
            if stop > start:
                found.append((start, stop))
    found.sort()
    return found


def turns(
    profile: dict[str, Any], work: list[tuple[int, int]], days: int, chance: Chance
) -> dict[int, float]:
    """Return what each minute would cost, in points of the 5-hour allowance."""
    cost: dict[int, float] = {}
    week_level, levels = 0.0, []
    for day in range(days + 2):
        if day % 7 == 0:
            week_level = 0.6 * week_level + 0.8 * profile["by_week"] * chance.normal()
        trend = profile["trend"] * day / 7
        levels.append(math.exp(week_level + trend + profile["by_day"] * chance.normal()))
    for start, stop in work:
        minute = float(start)
        while minute < stop:
            until = minute + max(3.0, chance.lognormal(profile["burst"], 0.7))
            level = chance.lognormal(1.0, profile["by_burst"])
            if chance.random() < profile["fan_out"]:
                level *= 3
            while minute < min(until, stop):
                share = chance.lognormal(profile["cost"], profile["spread"])
                at = max(0, int(minute))
                cost[at] = cost.get(at, 0.0) + share * level * levels[min(at // 1440, days)]
                minute += max(0.4, chance.lognormal(profile["turn"], 0.6))
            minute = max(minute, until) + max(1.0, chance.lognormal(profile["pause"], 0.9))
    return cost


class Window:
    """One limit: open from its first use (or from its anchor) to its reset."""

    def __init__(self, key: str, anchor: int | None) -> None:
        self.key, self.anchor = key, anchor
        self.start: int | None = None
        self.end = 0
        self.used = self.peak = 0.0
        self.run_out: int | None = None
        self.blocked = self.wanted = 0

    def open(self, minute: int) -> None:
        length = LENGTH[self.key]
        if self.anchor is None:
            self.start = minute - minute % 10
        else:
            self.start = self.anchor + (minute - self.anchor) // length * length
        self.end = self.start + length
        self.used = self.peak = 0.0
        self.run_out, self.blocked, self.wanted = None, 0, 0

    def add(self, points: float, minute: int) -> None:
        self.used = min(100.0, self.used + points)
        self.peak = max(self.peak, self.used)
        if self.used >= 100 and self.run_out is None:
            self.run_out = minute

    def scale(self, factor: float, minute: int) -> None:
        points, self.used = self.used / factor, 0.0
        self.add(points, minute)


def simulate(  # noqa: C901, PLR0912, PLR0915 - one minute after the other
    name: str, seed: int, weeks: int, zone: ZoneInfo, first: date
) -> Iterator[dict[str, Any]]:
    """Yield the lines."""
    profile = BASE | PROFILES[name]
    chance = Chance(f"{name}/{seed}")
    days = BEFORE + weeks * 7
    first -= timedelta(days=BEFORE)
    work = sessions(profile, first, days, zone, chance)
    cost = turns(profile, work, days, chance)
    total, begun = days * 1440, BEFORE * 1440
    origin = datetime(first.year, first.month, first.day, tzinfo=zone).timestamp()
    anchor = None if profile["anchor"] == "first" else int(chance.random() * 1008) * 10 - 10_080
    five, seven = Window(FIVE, None), Window(SEVEN, anchor)
    changes = {int(at * total): factor for at, factor in profile["plan"]}
    granted = [int(at * total) + int(chance.random() * 600) for at in profile["granted"]]
    for at, length in profile["away"]:
        yield event("holiday", None, origin, int(at * days) * 1440, days=length)
    working = bytearray(total)
    watched = bytearray(b"\1" * total if profile["watched"] == "always" else total)
    for start, stop in work:
        begin = max(0, start)
        working[begin:stop] = b"\1" * max(0, min(stop, total) - begin)
        if profile["watched"] == "present":
            begin, until = max(0, start - 20), min(stop + 45, total)
            watched[begin:until] = b"\1" * max(0, until - begin)
    allowance, poll_at, stale = 1.0, 0.0, None
    noise = Chance(f"{name}/{seed}/reading")
    skew = 0
    for minute in range(total):
        for window in (five, seven):
            if window.start is not None and minute >= window.end:
                if minute > begun:
                    yield truth(window, origin, minute, "reset")
                window.start = None
            if window.start is None and window.anchor is not None:
                window.open(minute)
        if minute in changes:
            factor = changes[minute]
            allowance *= factor
            for window in (five, seven):
                if window.start is not None:
                    window.scale(factor, minute)
            yield event("plan_change", None, origin, minute, allowance=allowance)
        if granted and minute >= granted[0]:
            granted.pop(0)
            moved = noise.random() < 0.5  # the reset moves, or it stays where it was: both happen
            if seven.start is not None:
                yield truth(seven, origin, minute, "early_reset")
                reset = seven.end
                seven.open(minute)
                if moved:
                    seven.start, seven.end = minute, minute + LENGTH[SEVEN]
                    seven.anchor = None if seven.anchor is None else minute
                else:
                    seven.start, seven.end = minute, reset
                yield event("early_reset", SEVEN, origin, minute, moved=moved)
        points = cost.get(minute, 0.0) / allowance
        full = [w for w in (five, seven) if w.start is not None and w.used >= 100]
        for window in full:
            window.blocked += 60
            window.wanted += 60 * working[minute]
        turned = False
        if points and not full:
            if profile["ease"] and max(five.used, seven.used) >= 80:
                points *= 1 - profile["ease"]
            for window in (five, seven):
                if window.start is None:
                    window.open(minute)
            five.add(points, minute)
            seven.add(points * profile["week"], minute)
            turned = True
        if minute < begun:
            continue
        due = watched[minute] and minute >= poll_at
        if due:
            poll_at = minute + 5 * (0.9 + 0.2 * noise.random())
            if noise.random() < 0.004:
                poll_at += 15 + 45 * noise.random()  # the API asked to wait
        if not due and not (turned and profile["statusline"]):
            continue
        at = minute * 60 + int(noise.random() * 60)
        if profile["faults"] and noise.random() < 0.0004:
            skew = 0 if skew else int(noise.normal() * 900)
            yield event("clock_jump", None, origin, minute, seconds=skew)
        phantom = profile["faults"] and due and noise.random() < 0.003
        for window in (five, seven):
            used = window.used if window.start is not None else 0.0
            used = math.floor(used) if due else math.floor(used * 10) / 10  # whole from the API
            resets = None if window.start is None else window.end * 60
            if phantom:
                used = 0
                yield event("phantom_zero", window.key, origin, minute)
            elif stale and stale[0] == window.key and minute < stale[1]:
                used = stale[2]
                stale = None
                yield event("stale_rebound", window.key, origin, minute)
            elif profile["faults"] and due and used > 20 and noise.random() < 0.001:
                stale = (window.key, minute + 30, int(used))  # comes back once more, if it fell
            yield {
                "type": "reading",
                "key": window.key,
                "read_at": stamp(origin + at + skew),
                "utilization": float(used),
                "resets_at": None if resets is None
                else stamp(origin + resets + (noise.random() - 0.6 if due else 0), micro=bool(due)),
                "source": "api" if due else "statusline",
            }  # fmt: skip
    for window in (five, seven):
        if window.start is not None:
            yield truth(window, origin, total, "open")


def truth(window: Window, origin: float, minute: int, end: str) -> dict[str, Any]:
    return {
        "type": "window",
        "key": window.key,
        "started_at": stamp(origin + (window.start or 0) * 60),
        "resets_at": stamp(origin + window.end * 60),
        "run_out_at": None if window.run_out is None else stamp(origin + window.run_out * 60),
        "ended_at": stamp(origin + minute * 60),
        "end": end,
        "peak": round(window.peak, 2),
        "blocked_seconds": window.blocked,
        "wanted_seconds": window.wanted,
    }


def event(kind: str, key: str | None, origin: float, minute: int, **more: object) -> dict[str, Any]:
    return {"type": "event", "kind": kind, "key": key, "at": stamp(origin + minute * 60), **more}


def stamp(seconds: float, *, micro: bool = False) -> str:
    moment = datetime.fromtimestamp(seconds, UTC)
    if micro:
        return moment.isoformat(timespec="milliseconds")
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def life(
    profile: str,
    seed: int = 1,
    weeks: int = 10,
    *,
    zone: str = "Europe/Berlin",
    start: date = date(2026, 9, 7),
) -> list[dict[str, Any]]:
    """Return the lines of one synthetic user."""
    return list(simulate(profile, seed, weeks, ZoneInfo(zone), start))
