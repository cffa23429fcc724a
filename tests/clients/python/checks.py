"""Checks that the real Python SDK sees through tollfree what it sees without, and that the tags are right.

Runs each program of this folder and each call of `checking.calls` twice, through tollfree and directly at
upstream, and compares what the SDK makes of the answers. Knows only the public contract. Where both URLs are the
same there is no tollfree in between: then its absence is checked instead of its tags.

    OPENAI_BASE_URL=http://127.0.0.1:8800/v1 OPENAI_DIRECT_URL=http://127.0.0.1:8900/v1 \\
        OPENAI_API_KEY=sk-sim-acme python checks.py
"""

import asyncio
import os
import pathlib
import re
import subprocess
import sys
import traceback

import openai

sys.dont_write_bytecode = True  # nothing is written into the source tree

from checking import DEADLINE, MODEL, says, sdk, tags
from checking.calls import CALLS, aside, chat, chat_stream
from checking.relay import Relay
from checking.tagged import TAGGED

HERE = pathlib.Path(__file__).parent
PROGRAMS = ("chat", "stream", "async_chat", "responses", "structured", "tools", "errors")
VARIABLES = ("OPENAI_BASE_URL", "OPENAI_DIRECT_URL", "OPENAI_API_KEY")
STREAMS = 20  # streams one after the other on one pool

# Headers that are tollfree's, speak of one connection only, or are by contract dropped or added to.
NOT_COMPARED = re.compile(
    r"x-tollfree-|connection$|keep-alive$|transfer-encoding$|content-length$|alt-svc$|access-control-expose-headers$"
)


def main():
    if missing := [name for name in VARIABLES if not os.environ.get(name)]:
        sys.exit(f"not set: {', '.join(missing)}. help: the top of {__file__} shows a run")
    urls = through, direct = [os.environ[name].rstrip("/") for name in VARIABLES[:2]]
    clients = [sdk(url) for url in urls]
    checks = [(name, same, (call, *clients)) for name, call in CALLS.items()]
    checks += [(f"{name}.py", program, (name, *urls)) for name in PROGRAMS]
    checks += [("header names", same_headers, urls)]
    checks += [("pool", pool, (sync_streams, *urls)), ("pool, async", pool, (async_streams, *urls))]
    if through == direct:
        checks += [("no tags without tollfree", untagged, (direct,))]
    else:
        checks += [(f"tags: {name}", check, clients[:1]) for name, check in TAGGED.items()]
    failed = [name for name, check, of in checks if not passes(name, check, of)]
    print(f"{len(checks) - len(failed)} passed, {len(failed)} failed")
    sys.exit(bool(failed))


def passes(name, check, of):
    try:
        note = check(*of)
    except Exception as error:  # whatever a check raises is its failure, and the others still run
        at = traceback.extract_tb(error.__traceback__)[-1]
        print(f"FAIL  {name}: {type(error).__name__}: {error} ({at.name}, line {at.lineno})", flush=True)
        return False
    print(f"ok    {name}{f': {note}' if note else ''}", flush=True)
    return True


def same(call, *clients):
    seen, expected = (aside(call(client)) for client in clients)
    assert seen == expected, f"{seen} instead of {expected}"


def program(name, through, direct):
    answers, verdicts = run(name, through)
    expected, none = run(name, direct)
    assert answers == expected, f"{answers} instead of {expected}"
    assert set(none) == {"None None"}, none
    tagged = r"(free|billed) (confirmed|final|assumed)|none error-response"
    assert through == direct or all(re.fullmatch(tagged, verdict) for verdict in verdicts), verdicts
    return ", ".join(dict.fromkeys(verdicts))


def run(name, base_url):
    """The answers and the verdicts that a program prints at this base URL."""
    ended = subprocess.run(
        [sys.executable, HERE / f"{name}.py"],
        env={**os.environ, "OPENAI_BASE_URL": base_url},
        capture_output=True,
        text=True,
        timeout=DEADLINE,
    )
    assert ended.returncode == 0, ended.stderr.strip().splitlines()[-1]
    lines = ended.stdout.splitlines()
    verdicts = [line.removeprefix("verdict: ") for line in lines if line.startswith("verdict: ")]
    return [line for line in lines if not line.startswith("verdict: ")], verdicts


def heads(base_url, **options):
    create = sdk(base_url).chat.completions.with_raw_response.create
    return create(model=MODEL, messages=says("Hello!"), **options).headers.multi_items()


def same_headers(through, direct):
    for options in ({}, {"stream": True}):
        seen, expected = (
            sorted(name for name, _ in heads(url, **options) if not NOT_COMPARED.match(name.lower()))
            for url in (through, direct)
        )
        assert seen == expected, f"{seen} instead of {expected}"


def untagged(direct):
    assert not [name for name, _ in heads(direct) if name.lower().startswith(tags.PREFIX)], "tags"


def pool(streams, through, direct):
    """A client keeps its connections through tollfree at least as well as without."""
    counts = []
    for base_url in (through, direct):
        with Relay(base_url) as relay:
            streams(relay.base_url)
        counts.append(relay.connections)
    assert counts[0] <= counts[1], f"{counts[0]} connections instead of {counts[1]}"
    return f"{STREAMS} streams on {counts[0]} connections, {counts[1]} without tollfree"


def sync_streams(base_url):
    with sdk(base_url) as client:
        for _ in range(STREAMS):
            chat_stream(client)


def async_streams(base_url):
    async def run():
        async with sdk(base_url, openai.AsyncOpenAI) as client:
            for _ in range(STREAMS):
                async for _ in await chat(client, stream=True):
                    pass

    asyncio.run(run())


if __name__ == "__main__":
    main()
