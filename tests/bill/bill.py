#!/usr/bin/env python3
"""The independent bill: which calls of a simulated OpenAI's log are free, which are billed.

Written from OpenAI's published offer alone and knowing nothing of tollfree's code, so that the two can disagree.
Reads JSON lines in the order in which OpenAI's running total saw the calls; prints for each

    response_id <TAB> free|billed <TAB> running total of its organization, group and UTC day after it

with `-` where no running total applies (the model is on no list). A call that cannot be free takes nothing.
"""

import argparse
import json
import sys
from collections import defaultdict
from dataclasses import asdict, dataclass
from datetime import datetime, timezone

# The offer as published: model lists of 2026-09-28, exact ids of snapshots.
LARGE = """
    gpt-6-astra gpt-6-sol gpt-6-luna gpt-5.6-sol gpt-5.5-2026-04-23 gpt-5.4-2026-03-05 gpt-5.2-2025-12-11
    gpt-5.1-2025-11-13 gpt-5.1-codex gpt-5-codex gpt-5-2025-08-07 gpt-5-chat-latest gpt-4.1-2025-04-14
    gpt-4o-2024-05-13 gpt-4o-2024-08-06 gpt-4o-2024-11-20 o3-2025-04-16 o1-preview-2024-09-12 o1-2024-12-17
"""
SMALL = """
    gpt-5.6-terra gpt-5.6-luna gpt-5.4-mini-2026-03-17 gpt-5.4-nano-2026-03-17 gpt-5.1-codex-mini
    gpt-5-mini-2025-08-07 gpt-5-nano-2025-08-07 gpt-4.1-mini-2025-04-14 gpt-4.1-nano-2025-04-14
    gpt-4o-mini-2024-07-18 o4-mini-2025-04-16 o1-mini-2024-09-12 codex-mini-latest
"""
GROUPS = {model: "large" for model in LARGE.split()} | {model: "small" for model in SMALL.split()}

# Tokens free a day, by group: in usage tiers 1 and 2, and in usage tiers 3 to 5.
ALLOWANCES = {"large": (250_000, 1_000_000), "small": (2_500_000, 10_000_000)}

READINGS = ("billed", "free-if-it-fits")


class BadEntry(Exception):
    """A line of the log that cannot be billed, and why."""


@dataclass(frozen=True)
class Line:
    """One line of the bill. `running_total` is in tokens, after the call; None where none applies."""

    response_id: str
    verdict: str
    running_total: int | None
    organization: str
    group: str | None
    day: str
    tokens: int

    def __str__(self):
        total = "-" if self.running_total is None else self.running_total
        return f"{self.response_id}\t{self.verdict}\t{total}"


def bill(entries, after_crossing="billed"):
    """Yields the line of each log entry, in their order.

    `after_crossing` is the reading of the rule: `billed` if a call that would exceed the allowance is billed and
    still counts, so that all later ones are billed; `free-if-it-fits` if it does not count.
    """
    totals = defaultdict(int)
    for number, entry in enumerate(entries, 1):
        try:
            yield _line(entry, totals, after_crossing)
        except (KeyError, TypeError, ValueError) as error:
            raise BadEntry(f"line {number}: {type(error).__name__}: {error}") from error


def _line(entry, totals, after_crossing):
    group = GROUPS.get(entry["model"])
    day = _utc_day(entry["at"])
    tokens = _count(entry, "input_tokens") + _count(entry, "output_tokens")
    key = (entry["organization"], group, day)
    verdict = "billed"
    if group and _eligible(entry):
        fits = totals[key] + tokens <= _allowance(group, entry["usage_tier"])
        verdict = "free" if fits else "billed"
        if fits or after_crossing == "billed":
            totals[key] += tokens
    return Line(
        response_id=entry["response_id"],
        verdict=verdict,
        running_total=totals[key] if group else None,
        organization=entry["organization"],
        group=group,
        day=day,
        tokens=tokens,
    )


def _eligible(entry):
    """Free only for an enrolled organization's shared project at the default service tier."""
    return _flag(entry, "enrolled") and _flag(entry, "shared") and entry["service_tier"] in (None, "default")


def _allowance(group, usage_tier):
    if usage_tier not in range(1, 6):
        raise ValueError(f"usage tier {usage_tier!r}")
    return ALLOWANCES[group][usage_tier >= 3]


def _utc_day(instant):
    at = datetime.fromisoformat(instant.replace("Z", "+00:00"))
    if at.tzinfo is None:
        raise ValueError(f"{instant} names no offset from UTC")
    return at.astimezone(timezone.utc).date().isoformat()


def _count(entry, name):
    if type(entry[name]) is not int or entry[name] < 0:
        raise ValueError(f"{name} is {entry[name]!r}")
    return entry[name]


def _flag(entry, name):
    if type(entry[name]) is not bool:
        raise ValueError(f"{name} is {entry[name]!r}")
    return entry[name]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("log", nargs="?", default="-", help="the log's file; - reads standard input")
    parser.add_argument("--after-crossing", choices=READINGS, default="billed", help="the reading of the rule")
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")
    options = parser.parse_args()
    file = sys.stdin if options.log == "-" else open(options.log, encoding="utf-8")
    with file:
        try:
            for line in bill(map(json.loads, filter(str.strip, file)), options.after_crossing):
                print(json.dumps(asdict(line)) if options.json else line)
        except (BadEntry, json.JSONDecodeError) as error:
            sys.exit(f"{options.log}: {error}")


if __name__ == "__main__":
    main()
