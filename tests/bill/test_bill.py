"""Tests of the independent bill: the offer's published example, both readings, who and what is eligible.

    python3 -m unittest discover tests/bill
"""

import json
import pathlib
import subprocess
import sys
import unittest

from bill import GROUPS, BadEntry, bill

PUBLISHED = [  # time UTC, tokens, running total, verdict: OpenAI's own table for the group of one million
    ("09:15", 120_000, 120_000, "free"),
    ("12:40", 140_000, 260_000, "free"),
    ("14:30", 150_000, 410_000, "free"),
    ("16:00", 150_000, 560_000, "free"),
    ("18:05", 150_000, 710_000, "free"),
    ("20:20", 150_000, 860_000, "free"),
    ("22:15", 115_000, 975_000, "free"),
    ("23:10", 30_000, 1_005_000, "billed"),
]


def entry(tokens, **changes):
    """A log entry of a call of the large group that may be free, as the simulated OpenAI writes it."""
    return {
        "at": "2026-11-21T10:00:00.000Z", "organization": "acme", "project": "proj_a", "key_hint": "acme",
        "endpoint": "/v1/responses", "model": "gpt-5.6-sol", "service_tier": "default", "response_id": "resp_1",
        "request_id": "req_1", "input_tokens": tokens, "output_tokens": 0, "cached_tokens": 0,
        "reasoning_tokens": 0, "stream": False, "asked_usage": False, "hosted_tools": [], "enrolled": True,
        "shared": True, "usage_tier": 1, "complete": True, "payer_shown": None, **changes,
    }  # fmt: skip


def told(entries, after_crossing="billed"):
    return [(line.verdict, line.running_total) for line in bill(entries, after_crossing)]


class Bill(unittest.TestCase):
    def test_published_example(self):
        day = [entry(tokens, at=f"2026-11-21T{time}:00Z", usage_tier=3) for time, tokens, _, _ in PUBLISHED]
        self.assertEqual(told(day), [(verdict, total) for _, _, total, verdict in PUBLISHED])

    def test_after_the_crossing_call_the_two_readings_differ(self):
        day = [entry(tokens) for tokens in (240_000, 20_000, 10_000, 1)]
        self.assertEqual(
            told(day), [("free", 240_000), ("billed", 260_000), ("billed", 270_000), ("billed", 270_001)]
        )
        self.assertEqual(
            told(day, "free-if-it-fits"),
            [("free", 240_000), ("billed", 240_000), ("free", 250_000), ("billed", 250_000)],
        )

    def test_the_last_token_of_the_allowance_is_free(self):
        self.assertEqual(told([entry(250_000)]), [("free", 250_000)])
        self.assertEqual(told([entry(250_001)]), [("billed", 250_001)])

    def test_allowances_follow_group_and_usage_tier(self):
        for model, low, high in (("gpt-5.6-sol", 250_000, 1_000_000), ("gpt-5.6-luna", 2_500_000, 10_000_000)):
            for usage_tier, allowance in ((1, low), (2, low), (3, high), (4, high), (5, high)):
                with self.subTest(model=model, usage_tier=usage_tier):
                    calls = [entry(n, model=model, usage_tier=usage_tier) for n in (allowance, 1)]
                    self.assertEqual([verdict for verdict, _ in told(calls)], ["free", "billed"])

    def test_input_and_output_count_and_their_parts_do_not_count_again(self):
        call = entry(1_000, output_tokens=200, cached_tokens=900, reasoning_tokens=150)
        self.assertEqual(told([call]), [("free", 1_200)])

    def test_what_cannot_be_free_is_billed_and_takes_nothing(self):
        for change in (
            {"enrolled": False}, {"shared": False}, {"service_tier": "flex"}, {"service_tier": "priority"},
        ):  # fmt: skip
            with self.subTest(change):
                self.assertEqual(told([entry(5), entry(7, **change), entry(1)])[1:], [("billed", 5), ("free", 6)])

    def test_a_missing_service_tier_is_the_default(self):
        self.assertEqual(told([entry(5, service_tier=None)]), [("free", 5)])

    def test_models_are_listed_by_exact_id(self):
        self.assertEqual((GROUPS["gpt-6-luna"], GROUPS["gpt-5.6-luna"]), ("large", "small"))
        self.assertEqual(sorted(GROUPS.values()).count("large"), 19)
        self.assertEqual(len(GROUPS), 32)
        for model in ("gpt-4o", "gpt-4o-audio-preview", "ft:gpt-4.1-mini-2025-04-14:acme::B", "o3-mini", ""):
            with self.subTest(model):
                self.assertEqual(told([entry(5, model=model)]), [("billed", None)])

    def test_organizations_groups_and_days_have_totals_of_their_own(self):
        calls = [
            entry(200_000),
            entry(200_000, organization="globex"),
            entry(200_000, model="gpt-5-mini-2025-08-07"),
            entry(200_000, at="2026-11-22T00:00:00.000Z"),
        ]
        self.assertEqual(told(calls), [("free", 200_000)] * 4)

    def test_projects_share_their_organizations_total(self):
        self.assertEqual(told([entry(1), entry(2, project="proj_b")]), [("free", 1), ("free", 3)])

    def test_the_day_is_utc_whatever_the_offset(self):
        calls = [entry(1, at="2026-11-21T23:59:59.999Z"), entry(1, at="2026-11-22T08:59:59.999+09:00")]
        self.assertEqual([line.day for line in bill(calls)], ["2026-11-21"] * 2)

    def test_an_entry_that_cannot_be_billed_is_named(self):
        for change in (
            {"input_tokens": None}, {"output_tokens": -1}, {"input_tokens": True}, {"usage_tier": 7},
            {"at": "2026-11-21T10:00:00"}, {"enrolled": "yes"},
        ):  # fmt: skip
            with self.subTest(change), self.assertRaisesRegex(BadEntry, "^line 2: "):
                told([entry(1), entry(1, **change)])
        incomplete = entry(1)
        del incomplete["model"]
        with self.assertRaisesRegex(BadEntry, "^line 1: .*model"):
            told([incomplete])


class Program(unittest.TestCase):
    def run_on(self, text, *options):
        script = pathlib.Path(__file__).with_name("bill.py")
        return subprocess.run([sys.executable, script, *options], input=text, capture_output=True, text=True)

    def test_prints_a_line_for_each_call(self):
        log = [entry(240_000, response_id="a"), entry(20_000, response_id="b"), entry(3, response_id="c", model="x")]
        text = "".join(json.dumps(each) + "\n" for each in log)
        self.assertEqual(self.run_on(text).stdout, "a\tfree\t240000\nb\tbilled\t260000\nc\tbilled\t-\n")
        self.assertIn("b\tbilled\t240000\n", self.run_on(text, "--after-crossing", "free-if-it-fits").stdout)
        self.assertEqual(
            [json.loads(line)["running_total"] for line in self.run_on(text, "--json", "-").stdout.splitlines()],
            [240_000, 260_000, None],
        )

    def test_a_broken_log_fails(self):
        ended = self.run_on("{\n")
        self.assertEqual((ended.returncode, ended.stdout), (1, ""))


if __name__ == "__main__":
    unittest.main()
