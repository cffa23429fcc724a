"""Checks that WebSockets work through tollfree with the real Python SDK and with the `websockets` package itself.

Each response must be found by its id as soon as its last event is there. Knows only the public contract. Texts in
square brackets steer the simulated OpenAI.

    OPENAI_BASE_URL=http://127.0.0.1:8800/v1 OPENAI_API_KEY=sk-sim-acme python sockets.py
"""

import json
import os
import sys
import traceback

from websockets.sync.client import connect

sys.dont_write_bytecode = True  # nothing is written into the source tree

from checking import DEADLINE, MODEL, sdk
from checking.tagged import found

BASE = os.environ["OPENAI_BASE_URL"].rstrip("/")
KEY = os.environ["OPENAI_API_KEY"]
LANES = 12


def settled(client, response_id, tokens, verdict="free"):
    """What a look-up by OpenAI's own id says, at once."""
    seen, added = found(client, response_id, KEY)
    assert (seen["verdict"], seen["tokens"]) == (verdict, str(tokens)), seen
    assert added["response-id"] == response_id, added


def responses(client):
    """One connection of the SDK, three responses one after the other."""
    with client.responses.connect() as connection:
        for number in range(3):
            connection.send({
                "type": "response.create", "model": MODEL, "input": f"[tokens in=1{number}0 out=5]"
            })  # fmt: skip
            text = ""
            for event in connection:
                if event.type == "response.output_text.delta":
                    text += event.delta
                if event.type == "response.completed":
                    break
            assert text == event.response.output[-1].content[0].text, text
            settled(client, event.response.id, event.response.usage.total_tokens)


def realtime(client):
    """A realtime session of the SDK: its model is on no list, so it is billed."""
    with client.realtime.connect(model="gpt-realtime") as connection:
        content = [{"type": "input_text", "text": "[tokens in=16 out=63]"}]
        connection.conversation.item.create(item={"type": "message", "role": "user", "content": content})
        connection.response.create()
        for event in connection:
            if event.type == "response.done":
                break
        settled(client, event.response.id, 79, "billed")


def raw():
    """A connection of the package itself, which offers compression."""
    headers = {"Authorization": f"Bearer {KEY}"}
    url = f"{BASE.replace('http', 'ws', 1)}/responses"
    return connect(url, additional_headers=headers, max_size=None, open_timeout=DEADLINE, close_timeout=DEADLINE)


def lanes(client):
    """Many responses at once on one connection, each in a lane of its own."""
    with raw() as socket:
        assert not socket.protocol.extensions, socket.protocol.extensions
        for lane in range(LANES):
            text = f"[tokens in={lane + 1}000 out=1] [delay {10 * (LANES - lane)}] [chunks 20]"
            create = {"type": "response.create", "model": MODEL, "input": text, "stream_id": f"lane {lane}"}
            socket.send(json.dumps(create))
        ended = {}
        while len(ended) < LANES:
            event = json.loads(socket.recv(timeout=DEADLINE))
            if event["type"] == "response.completed":
                ended[event["stream_id"]] = event["response"]["id"]
                usage = event["response"]["usage"]
                settled(client, event["response"]["id"], usage["total_tokens"])
        assert len(set(ended.values())) == LANES, ended


def large(client):
    """A message of 3 MiB up, in fragments, and one of 1 MiB down."""
    with raw() as socket:
        create = json.dumps({
            "type": "response.create", "model": MODEL, "instructions": "x" * (3 << 20),
            "input": "[tokens in=10 out=20] [bytes 1000000]",
        })  # fmt: skip
        step = 100_000
        socket.send(create[at : at + step] for at in range(0, len(create), step))
        while (event := json.loads(socket.recv(timeout=DEADLINE)))["type"] != "response.completed":
            pass
        assert len(event["response"]["output"][-1]["content"][0]["text"]) == 1_000_000
        settled(client, event["response"]["id"], 30)


def pings_and_goodbye(client):
    """Pings are answered from end to end, and a close is a handshake."""
    with raw() as socket:
        assert socket.ping("there?").wait(DEADLINE), "no pong"
        socket.close(1000, "done")
    assert socket.close_code == 1000, socket.close_code


CHECKS = [responses, realtime, lanes, large, pings_and_goodbye]


def main():
    client = sdk(BASE)
    failed = 0
    for check in CHECKS:
        try:
            check(client)
            print(f"ok      {check.__name__}")
        except Exception:  # whatever a check raises is its failure, and the others still run
            failed += 1
            print(f"FAILED  {check.__name__}\n{traceback.format_exc()}")
    print(f"{len(CHECKS) - failed} passed, {failed} failed")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
