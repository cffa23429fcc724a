"""The calls made twice, through tollfree and without, and how what they give is compared.

Knows the SDK and OpenAI's wire format; nothing of tollfree. Texts in square brackets steer the simulated OpenAI.
"""

import asyncio

import openai
from pydantic import BaseModel

from checking import MODEL, says, sdk

# What differs between two runs of one call, with tollfree or without.
DIFFERS = {
    "id", "created", "created_at", "completed_at", "obfuscation", "system_fingerprint", "call_id",
    "item_id", "billing",
}  # fmt: skip


class City(BaseModel):
    name: str
    country: str
    inhabitants: int


WEATHER = {
    "name": "weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
CHAT_TOOL = {"tools": [{"type": "function", "function": WEATHER}], "tool_choice": "required"}
TOOL = {"tools": [{"type": "function", "strict": False, **WEATHER}], "tool_choice": "required"}
USAGE = {"stream_options": {"include_usage": True}}


def aside(value):
    """A value as plain data, without what differs between two runs; what was null stays, what was absent too."""
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json", exclude_unset=True, warnings=False)
    if isinstance(value, dict):
        return {name: aside(member) for name, member in value.items() if name not in DIFFERS}
    return [aside(item) for item in value] if isinstance(value, (list, tuple)) else value


def chat(client, text="Hello!", **options):
    return client.chat.completions.create(model=MODEL, messages=says(text), **options)


def chat_stream(client, text="Count to five. [chunks 5]", **options):
    return list(chat(client, text, stream=True, **options))


def chat_parsed(client):
    return client.chat.completions.parse(model=MODEL, messages=says("A city?"), response_format=City)


def chat_accumulated(client):
    with client.chat.completions.stream(model=MODEL, messages=says("Hello!")) as stream:
        return [event.type for event in stream] + [stream.get_final_completion()]


def completion(client, **options):
    return client.completions.create(model="gpt-3.5-turbo-instruct", prompt="Once", **options)


def completion_stream(client, **options):
    return list(completion(client, stream=True, **options))


def response(client, **options):
    return client.responses.create(model=MODEL, input="Hello!", **options)


def response_parsed(client):
    return client.responses.parse(model=MODEL, input="A city?", text_format=City)


def response_accumulated(client):
    with client.responses.stream(model=MODEL, input="A city?", text_format=City) as stream:
        return [event.type for event in stream] + [stream.get_final_response()]


def streams_at_once(client):
    """Ten streams of different length at the same time: each keeps its own chunks."""

    async def stream(several, number):
        events = await chat(several, f"Number {number}. [chunks {number + 1}]", stream=True)
        return [chunk async for chunk in events]

    async def run():
        async with sdk(client.base_url, openai.AsyncOpenAI) as several:
            return await asyncio.gather(*(stream(several, number) for number in range(10)))

    return asyncio.run(run())


def unasked(call):
    """A stream that did not ask for usage shows none of it: not even `"usage":null`."""

    def check(client):
        chunks = call(client)
        assert chunks and all(chunk.choices for chunk in chunks), "a chunk without choices"
        assert not any("usage" in chunk.model_fields_set for chunk in chunks), "usage that nobody asked for"
        return chunks

    return check


def asked(call):
    """A stream that asked for usage: one chunk has it, without choices, and all others say null."""

    def check(client):
        chunks = call(client)
        assert all("usage" in chunk.model_fields_set for chunk in chunks), "a chunk without usage"
        assert [chunk.choices for chunk in chunks if chunk.usage] == [[]], "not exactly one usage chunk"
        return chunks

    return check


def fails(call):
    """The error that the SDK raises, as data."""

    def check(client):
        try:
            answer = call(client)
        except openai.APIError as error:
            return [type(error).__name__, getattr(error, "status_code", None), error.body]
        raise AssertionError(f"no error but {answer}")

    return check


CALLS = {
    "chat": chat,
    "chat, three choices": lambda c: chat(c, n=3),
    "chat, parsed": chat_parsed,
    "chat, function call": lambda c: chat(c, **CHAT_TOOL),
    "chat stream": unasked(chat_stream),
    "chat stream, options null": unasked(lambda c: chat_stream(c, extra_body={"stream_options": None})),
    "chat stream, usage declined": unasked(lambda c: chat_stream(c, stream_options={"include_usage": False})),
    "chat stream, not padded": unasked(lambda c: chat_stream(c, stream_options={"include_obfuscation": False})),
    "chat stream, usage asked": asked(lambda c: chat_stream(c, **USAGE)),
    "chat stream, two choices": unasked(lambda c: chat_stream(c, n=2)),
    "chat stream, function call": unasked(lambda c: chat_stream(c, **CHAT_TOOL)),
    "chat stream, accumulated": chat_accumulated,
    "chat streams at once": streams_at_once,
    "completion": completion,
    "completion stream": unasked(completion_stream),
    "completion stream, usage asked": asked(lambda c: completion_stream(c, **USAGE)),
    "response": response,
    "response, parsed": response_parsed,
    "response, function call": lambda c: response(c, **TOOL),
    "response stream": lambda c: list(response(c, stream=True)),
    "response stream, accumulated": response_accumulated,
    "response, retrieved": lambda c: c.responses.retrieve(response(c).id),
    "embeddings": lambda c: c.embeddings.create(model="text-embedding-3-small", input="Hello!"),
    "models": lambda c: list(c.models.list()),
    "wrong key": fails(lambda c: chat(c.with_options(api_key="sk-wrong"))),
    "unknown model": fails(lambda c: chat(c, extra_body={"model": "no-such-model"})),
    "rate limit": fails(lambda c: chat(c, "[status 429]")),
    "server error": fails(lambda c: chat(c, "[status 500]")),
    "error in a stream": fails(lambda c: chat_stream(c, "[error mid-stream]")),
}
