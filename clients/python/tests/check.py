"""Against a real proxy before a simulated OpenAI: `OPENAI_BASE_URL`, `OPENAI_API_KEY`, and `OPENAI_DIRECT_URL` without a proxy."""

import asyncio
import json
import os
import socket
from importlib import resources

from openai import APIConnectionError, APIError, APITimeoutError, AsyncOpenAI, BadRequestError, NotFoundError, OpenAI
from tollfree import Tag, final, tag_of, wrap

MESSAGES = [{"role": "user", "content": "hi [tokens in=100 out=50]"}]
passed = 0


def check(name, holds, seen=None):
    global passed
    assert holds, f"{name}: {seen!r}"
    passed += 1


def tagged(tag, name):
    check(f"{name}: is tagged", isinstance(tag, Tag), tag)
    check(f"{name}: has a call", tag.call.startswith("c_"), tag)
    check(f"{name}: numbers are numbers", tag.tokens is None or isinstance(tag.tokens, int), tag)


def sync_part():
    plain = OpenAI()
    client = wrap(OpenAI())
    check("the client keeps its type", isinstance(client, OpenAI) and type(client).__name__ == "OpenAI")
    answer = client.chat.completions.create(model="gpt-5-mini", messages=MESSAGES)
    tagged(answer.tollfree, "chat")
    check("tokens", answer.tollfree.tokens == 150, answer.tollfree)
    check("a verdict", answer.tollfree.verdict in ("free", "billed"), answer.tollfree)
    check("dumps are as they were", "tollfree" not in json.dumps(answer.model_dump()), answer.model_dump())
    other = plain.chat.completions.create(model="gpt-5-mini", messages=MESSAGES)
    check("a client that is not wrapped is not tagged", other.tollfree is None)
    tagged(client.responses.create(model="gpt-5-mini", input="hi").tollfree, "responses")
    tagged(client.embeddings.create(model="text-embedding-3-small", input="hi").tollfree, "embeddings")
    raw = client.chat.completions.with_raw_response.create(model="gpt-5-mini", messages=MESSAGES)
    check("raw answers stay raw", raw.headers.get("x-tollfree-verdict") is not None)
    tagged(raw.parse().tollfree, "raw, then parsed")
    check("and is what its headers say", raw.parse().tollfree.call == raw.headers["x-tollfree-call"], raw.parse().tollfree)
    with client.chat.completions.with_streaming_response.create(model="gpt-5-mini", messages=MESSAGES) as raw:
        tagged(raw.parse().tollfree, "read late, then parsed")
    check("what has no tag has none", tag_of(raw) is None and tag_of(answer) is answer.tollfree)
    stream = client.chat.completions.create(model="gpt-5-mini", messages=MESSAGES, stream=True)
    tagged(stream.tollfree, "head of a stream")
    text = "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)
    last = final(stream)
    check("a stream's last word", text and last.tokens == 150 and last.verdict in ("free", "billed"), last)
    check("it is recorded, and was not at its head", last.recorded and not stream.tollfree.recorded, last)
    with client.chat.completions.stream(model="gpt-5-mini", messages=MESSAGES) as stream:
        for _event in stream:
            pass
        tagged(stream.tollfree, "head of a helper's stream")
        last = final(stream)
        check("its last word", last is not None and last.tokens == 150, last)
    with client.responses.stream(model="gpt-5-mini", input="hi [tokens in=100 out=50]") as stream:
        stream.until_done()
        last = final(stream)
        check("and of a response's", last is not None and last.tokens == 150, last)
    try:
        client.responses.retrieve("resp_none")
        check("an unknown response is an error", False)
    except (NotFoundError, BadRequestError) as error:
        tagged(error.tollfree, "error")
        check("an error settles nothing", error.tollfree.verdict == "none", error.tollfree)
        check("and records nothing", not error.tollfree.recorded, error.tollfree)


def unanswered(client, kind):
    try:
        client.models.list()
        check(f"{kind.__name__} is raised", False)
    except kind as error:
        check(f"{kind.__name__} has no tag", error.tollfree is None)


def errors_part():
    client = wrap(OpenAI(max_retries=0))
    messages = [{"role": "user", "content": "hi [tokens in=100 out=50] [break]"}]
    stream = client.chat.completions.create(model="gpt-5-mini", messages=messages, stream=True)
    try:
        list(stream)
        check("a stream that breaks is an error", False)
    except APIError as error:
        tagged(error.tollfree, "error in a stream")
        check("is that of its head", error.tollfree == stream.tollfree, error.tollfree)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        nobody = client.with_options(base_url=f"http://127.0.0.1:{silent.getsockname()[1]}/v1", timeout=0.2)
        unanswered(nobody, APITimeoutError)
    unanswered(nobody, APIConnectionError)
    check("nor has one that is made by hand", APIError("", request=None, body=None).tollfree is None)


async def async_part():
    client = wrap(AsyncOpenAI())
    raw = await client.chat.completions.with_raw_response.create(model="gpt-5-mini", messages=MESSAGES)
    tagged(raw.parse().tollfree, "async, raw, then parsed")
    async with client.chat.completions.with_streaming_response.create(model="gpt-5-mini", messages=MESSAGES) as raw:
        tagged((await raw.parse()).tollfree, "async, read late, then parsed")
    answer = await client.chat.completions.create(model="gpt-5-mini", messages=MESSAGES)
    tagged(answer.tollfree, "async chat")
    stream = await client.responses.create(model="gpt-5-mini", input="hi [tokens in=100 out=50]", stream=True)
    async for _event in stream:
        pass
    last = await final(stream)
    check("an async stream's last word", last is not None and last.tokens == 150, last)
    async with client.chat.completions.stream(model="gpt-5-mini", messages=MESSAGES) as stream:
        await stream.until_done()
        last = await final(stream)
        check("and of an async helper's", last is not None and last.tokens == 150, last)


def without_proxy():
    base = os.environ.get("OPENAI_DIRECT_URL")
    if base:
        client = wrap(OpenAI(base_url=base))
        answer = client.chat.completions.create(model="gpt-5-mini", messages=MESSAGES)
        check("without a proxy there is no tag", answer.tollfree is None, answer.tollfree)
        stream = client.chat.completions.create(model="gpt-5-mini", messages=MESSAGES, stream=True)
        check("and streams work", len(list(stream)) > 0 and final(stream) is None)


check("types are given", resources.files("tollfree").joinpath("py.typed").is_file())
sync_part()
errors_part()
asyncio.run(async_part())
without_proxy()
print(f"{passed} passed, 0 failed")
