"""Calls through tollfree whose tags and look-ups are checked against each other and against the usage.

Knows the public contract. `[tokens in=.. out=..]` makes the simulated OpenAI report exactly these.
"""

import json
import urllib.error
import urllib.request

import openai

from checking import DEADLINE, MODEL, says, tags

STEER = says("[tokens in=1200 out=34]")
TOTAL = 1234  # tokens, as STEER says


def look_up(client, name, key=None):
    """Status, head and JSON of `GET {base_url}/_tollfree/calls/{name}`; without a key if none is given."""
    request = urllib.request.Request(f"{str(client.base_url).rstrip('/')}/_tollfree/calls/{name}")
    if key:
        request.add_header("authorization", f"Bearer {key}")
    try:
        with urllib.request.urlopen(request, timeout=DEADLINE) as answer:
            return answer.status, answer.headers, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.status, error.headers, json.load(error)


def found(client, name, key=None):
    """The tags of a look-up that must succeed, and what it adds to them."""
    status, headers, answer = look_up(client, name, key)
    assert status == 200, (status, answer)
    assert headers["cache-control"] == "no-store", headers["cache-control"]
    return tags.looked_up(answer)


def whole(raw, usage):
    """The tags of a whole answer say what its body says, and the look-up says the same as the head."""
    seen = tags.of(raw.headers)
    tags.settled(seen, usage.total_tokens)
    return seen


def unchanged(client, seen):
    """A look-up repeats the tags that the head showed; only the seconds until the reset run on."""
    later, added = found(client, seen["call"])
    moving = {"reset-seconds": None}
    assert {**later, **moving} == {**seen, **moving}, f"{later} instead of {seen}"
    return added


def chat(client):
    raw = client.chat.completions.with_raw_response.create(model=MODEL, messages=STEER)
    answer = raw.parse()
    added = unchanged(client, whole(raw, answer.usage))
    assert answer.usage.total_tokens == TOTAL, answer.usage
    assert added == {
        "response-id": answer.id, "request-id": answer._request_id, "model": answer.model
    }, added  # fmt: skip


def response(client):
    raw = client.responses.with_raw_response.create(model=MODEL, input=STEER)
    answer = raw.parse()
    added = unchanged(client, whole(raw, answer.usage))
    assert (added["response-id"], added["model"]) == (answer.id, answer.model), added


def embeddings(client):
    raw = client.embeddings.with_raw_response.create(model="text-embedding-3-small", input="Hello!")
    seen = whole(raw, raw.parse().usage)
    assert (seen["verdict"], seen["reason"]) == ("billed", "model-not-listed"), seen
    assert "group" not in seen and "remaining-tokens" not in seen, seen


def stream(client, **options):
    """The look-up after a stream's end is final, though the stream itself showed no usage."""
    events = client.chat.completions.create(model=MODEL, messages=STEER, stream=True, **options)
    head = tags.of(events.response.headers)
    tags.forecast(head)
    chunks = list(events)
    later, added = found(client, head["call"])
    tags.settled(later, TOTAL)
    assert (added["response-id"], added["model"]) == (chunks[0].id, chunks[0].model), added
    assert head["verdict"] in {"pending", later["verdict"]}, f"{head} became {later}"


def response_stream(client):
    events = client.responses.create(model=MODEL, input=STEER, stream=True)
    head = tags.of(events.response.headers)
    tags.forecast(head)
    ended = list(events)[-1].response
    later, added = found(client, head["call"])
    tags.settled(later, ended.usage.total_tokens)
    assert added["response-id"] == ended.id, added


def running_total(client):
    """What remains falls by the tokens of each free call, unless a new day begins between the two."""
    create = client.chat.completions.with_raw_response.create
    first, second = (tags.of(create(model=MODEL, messages=STEER).headers) for _ in range(2))
    if first["verdict"] == second["verdict"] == "free" and first.get("reset") == second.get("reset"):
        fell = int(first["remaining-tokens"]) - int(second["remaining-tokens"])
        assert fell == TOTAL, f"{fell} instead of {TOTAL}"


def replay(client):
    created = client.responses.create(model=MODEL, input="Hello!")
    tags.nothing_settled(tags.of(client.responses.with_raw_response.retrieve(created.id).headers), "replay")


def no_usage(client):
    tags.nothing_settled(tags.of(client.models.with_raw_response.list().headers), "no-usage")


def wrong_key(client):
    """A stranger learns nothing: call, verdict and reason, no more."""
    try:
        client.with_options(api_key="sk-wrong").chat.completions.create(model=MODEL, messages=STEER)
    except openai.AuthenticationError as error:
        seen = tags.of(error.response.headers)
    tags.nothing_settled(seen, "error-response")
    assert seen.keys() == {"call", "verdict", "reason"}, seen


def unknown_model(client):
    try:
        client.chat.completions.create(model="no-such-model", messages=STEER)
    except openai.NotFoundError as error:
        tags.nothing_settled(tags.of(error.response.headers), "error-response")


def foreign_ids(client):
    """OpenAI's ids find a call only with the key that made it; all else is one and the same 404."""
    answer = client.chat.completions.create(model=MODEL, messages=STEER)
    for name in (answer.id, answer._request_id):
        assert found(client, name, client.api_key)[1]["response-id"] == answer.id, name
        refused = [look_up(client, name), look_up(client, name, "sk-other"), look_up(client, "chatcmpl-unknown")]
        told = [(status, answer["error"]["code"]) for status, _, answer in refused]
        assert told == [(404, told[0][1])] * 3, told


def spoofed(client):
    """Tags that a client sends are dropped, not believed and not sent back."""
    raw = client.chat.completions.with_raw_response.create(
        model=MODEL, messages=STEER, extra_headers={"x-tollfree-verdict": "free", "x-tollfree-call": "mine"}
    )
    seen = whole(raw, raw.parse().usage)
    assert seen["call"] != "mine", seen


TAGGED = {
    "chat": chat,
    "response": response,
    "embeddings": embeddings,
    "chat stream": stream,
    "chat stream, usage asked": lambda c: stream(c, stream_options={"include_usage": True}),
    "response stream": response_stream,
    "running total": running_total,
    "replay": replay,
    "no usage": no_usage,
    "wrong key": wrong_key,
    "unknown model": unknown_model,
    "foreign ids": foreign_ids,
    "spoofed": spoofed,
}
