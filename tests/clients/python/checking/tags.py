"""The public contract of the `x-tollfree-*` headers, as a client can check it.

Knows header names and their closed sets of values; nothing of the SDK, nothing of how they are made.
"""

import re

PREFIX = "x-tollfree-"
REASONS = {
    "within-allowance", "crossing-call", "allowance-spent", "model-not-listed", "fine-tuned-model",
    "project-not-shared", "organization-not-enrolled", "service-tier", "batch", "payer-says-free",
    "payer-says-billed", "usage-missing", "not-asked", "unreadable-body", "client-gone",
    "upstream-broke", "replay", "no-usage", "error-response",
}  # fmt: skip
ASSUMPTIONS = {
    "enrolment", "sharing", "outside-usage", "day-start", "unknown-calls", "unclean-stop",
    "payer", "model-list", "hosted-tool", "service-tier", "straddles",
    "shared-totals",
}  # fmt: skip
NUMBERS = {
    "tokens", "input-tokens", "output-tokens", "allowance-tokens", "remaining-tokens", "reset-seconds",
}  # fmt: skip
NAMES = NUMBERS | {
    "call", "verdict", "certainty", "assumes", "reason", "group", "reset", "cost-usd", "saved-usd",
    "disputed",
}  # fmt: skip


def of(headers):
    """The tags of an answer: names without prefix, each with its one value; lists without blanks."""
    pairs = [(n.lower(), v) for n, v in headers.multi_items() if n.lower().startswith(PREFIX)]
    tags = {name.removeprefix(PREFIX): value.replace(", ", ",") for name, value in pairs}
    assert len(tags) == len(pairs), f"a tag came twice: {pairs}"
    _well_formed(tags)
    return tags


def _well_formed(tags):
    assert tags.keys() <= NAMES, f"names outside the contract: {tags.keys() - NAMES}"
    assert tags.get("call"), "no x-tollfree-call"
    assert tags.get("reason", "no-usage") in REASONS, f"reason {tags['reason']}"
    assert assumed(tags) <= ASSUMPTIONS, f"assumes {tags['assumes']}"
    assert tags.get("group", "small") in {"large", "small"}, f"group {tags['group']}"
    assert tags.get("disputed", "true") == "true", f"disputed {tags['disputed']}"
    for name in NUMBERS & tags.keys():
        assert re.fullmatch(r"\d+", tags[name]), f"{name} is {tags[name]}"
    if "reset" in tags:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT00:00:00(\.0+)?Z", tags["reset"]), tags["reset"]
        assert 0 < int(tags["reset-seconds"]) <= 86_400, tags["reset-seconds"]
    if "cost-usd" in tags:
        assert 0 in (float(tags["cost-usd"]), float(tags["saved-usd"])), "both cost and saved"


def assumed(tags):
    """What the verdict assumes, as a set."""
    return set(filter(None, tags.get("assumes", "").split(",")))


def settled(tags, total=None):
    """The tags of a whole answer: a verdict settled from reported usage, of `total` tokens if given."""
    assert tags["verdict"] in {"free", "billed"}, tags
    assert tags["certainty"] in {"confirmed", "final", "assumed"}, tags
    assert (tags["certainty"] == "assumed") == bool(assumed(tags)), tags
    assert int(tags["tokens"]) == int(tags["input-tokens"]) + int(tags["output-tokens"]), tags
    assert total is None or int(tags["tokens"]) == total, f"{tags['tokens']} of {total} tokens"


def forecast(tags):
    """The tags of a stream's head: a forecast or `pending`, never tokens."""
    assert tags["verdict"] in {"free", "billed", "pending"}, tags
    assert tags["verdict"] == "pending" or tags["certainty"] == "expected", tags
    assert "tokens" not in tags, tags


def nothing_settled(tags, reason):
    """The tags of an answer that settles nothing, and why."""
    assert (tags["verdict"], tags["reason"]) == ("none", reason), tags
    assert "tokens" not in tags, tags


def looked_up(answer):
    """A look-up's JSON in the form of the headers, and what it adds to them."""
    fields = {name.replace("_", "-"): value for name, value in answer.items()}
    tags = {name: _header(fields[name]) for name in NAMES & fields.keys()}
    added = {name: fields.get(name) for name in ("response-id", "request-id", "model")}
    return {name: value for name, value in tags.items() if value}, added


def _header(value):
    """The header's form of a JSON value; empty where the header would be left out."""
    if value is None or isinstance(value, bool):
        return "true" if value else ""
    return ",".join(value) if isinstance(value, list) else str(value)
