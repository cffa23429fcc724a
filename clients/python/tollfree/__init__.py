"""Whether each call of OpenAI's SDK was free or billed, beside its answer. Never raises because a tag is missing."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Awaitable, Callable, Mapping, Optional, TypeVar, Union, overload

from openai import APIError, AsyncOpenAI, AsyncStream, OpenAI, Stream
from openai import BaseModel as _Model
from openai.lib.streaming.chat import AsyncChatCompletionStream, ChatCompletionStream
from openai.lib.streaming.responses import AsyncResponseStream, ResponseStream

__all__ = ["Tag", "final", "tag_of", "wrap"]
_Async = Union[AsyncStream[Any], AsyncChatCompletionStream[Any], AsyncResponseStream[Any]]
Client = TypeVar("Client", OpenAI, AsyncOpenAI)
_AS: dict[str, Callable[[Any], Any]] = {
    "Optional[int]": int,
    "Optional[float]": float,
    "bool": lambda value: value in (True, "true"),
    "tuple[str, ...]": lambda value: tuple(value.split(",") if isinstance(value, str) else value),
}
_SETTLED = ("free", "billed", "unknown")
# Where a request keeps its answer's headers.
_HEADERS = "tollfree"


@dataclass(frozen=True)
class Tag:
    """What tollfree says of one call: its headers' names, numbers as numbers, None where not known."""

    call: str
    verdict: str
    certainty: Optional[str] = None
    assumes: tuple[str, ...] = ()
    reason: Optional[str] = None
    group: Optional[str] = None
    tokens: Optional[int] = None
    input_tokens: Optional[int] = None
    output_tokens: Optional[int] = None
    allowance_tokens: Optional[int] = None
    remaining_tokens: Optional[int] = None
    reset: Optional[str] = None
    reset_seconds: Optional[int] = None
    cost_usd: Optional[float] = None
    saved_usd: Optional[float] = None
    disputed: bool = False
    recorded: bool = False

    @property
    def is_free(self) -> bool:
        """True only where it is sure: free, and final or confirmed."""
        return self.verdict == "free" and self.certainty in ("final", "confirmed")


def _tag(said: Mapping[str, Any], prefix: str = "x-tollfree-") -> Optional[Tag]:
    values: dict[str, Any] = {}
    for field in fields(Tag):
        value = said.get(prefix + field.name.replace("_", "-"))
        try:
            if value is not None:
                values[field.name] = _AS.get(str(field.type), str)(value)
        except (TypeError, ValueError):
            continue
    # Said only where a settled call is not: what settles nothing, or is not settled yet, is not recorded either.
    settled = values.get("verdict") in _SETTLED and values.get("certainty") != "expected"
    values["recorded"] = settled and values.get("recorded", True)
    return Tag(**values) if "call" in values and "verdict" in values else None


def wrap(client: Client) -> Client:
    """The same client, whose answers, streams and errors carry `.tollfree`."""
    kind = type(client)

    def process(self: Any, *args: Any, **kwargs: Any) -> Any:
        response = kwargs["response"]
        # An error in the middle of a stream knows its request alone.
        response.request.extensions[_HEADERS] = response.headers
        return _soon(kind._process_response(self, *args, **kwargs), response.headers)

    client.__class__ = type(kind.__name__, (kind,), {"_process_response": process, "__module__": kind.__module__})
    return client


def _soon(answer: Any, headers: Mapping[str, str]) -> Any:
    return _later(answer, headers) if hasattr(answer, "__await__") else _tagged(answer, headers)


async def _later(answer: Any, headers: Mapping[str, str]) -> Any:
    return _tagged(await answer, headers)


def _tagged(answer: Any, headers: Mapping[str, str]) -> Any:
    if isinstance(answer, (_Model, Stream, AsyncStream)):
        object.__setattr__(answer, "_tollfree", _tag(headers))
    elif hasattr(answer, "http_response"):
        # A raw answer is parsed when it is asked to be.
        parse = answer.parse
        answer.parse = lambda *args, **kwargs: _soon(parse(*args, **kwargs), headers)
    return answer


def _of_error(error: Any) -> Optional[Tag]:
    response, request = getattr(error, "response", None), getattr(error, "request", None)
    headers = getattr(response, "headers", None) or getattr(request, "extensions", {}).get(_HEADERS)
    return _tag(headers) if headers else None


def tag_of(answer: object) -> Optional[Tag]:
    """The tag of an answer, stream or error, or None: `answer.tollfree`, for those whose types are checked."""
    tag = getattr(answer, "tollfree", None)
    return tag if isinstance(tag, Tag) else None


def _raw(stream: Any) -> Any:
    """What `client.chat.completions.stream` and `client.responses.stream` read."""
    return getattr(stream, "_raw_stream", stream)


@overload
def final(stream: _Async, wait: int = 5) -> Awaitable[Optional[Tag]]: ...  # type: ignore[overload-overlap]
@overload
def final(stream: object, wait: int = 5) -> Optional[Tag]: ...
def final(stream: Any, wait: int = 5) -> Any:
    """The last word on a stream that was read to its end, or None. Awaitable for an async stream."""
    stream = _raw(stream)
    tag, client = getattr(stream, "_tollfree", None), getattr(stream, "_client", None)
    path = f"/_tollfree/calls/{tag.call}?wait={wait}" if tag and client else None
    if isinstance(stream, AsyncStream):
        return _final_later(client, path)
    return _tag(client.get(path, cast_to=object), "") if client and path else None


async def _final_later(client: Any, path: Optional[str]) -> Optional[Tag]:
    return _tag(await client.get(path, cast_to=object), "") if client and path else None


_PUT: dict[Any, Any] = {
    APIError: _of_error,
    **dict.fromkeys((_Model, Stream, AsyncStream), lambda answer: getattr(answer, "_tollfree", None)),
    **dict.fromkeys(
        (ChatCompletionStream, AsyncChatCompletionStream, ResponseStream, AsyncResponseStream),
        lambda stream: getattr(_raw(stream), "tollfree", None),
    ),
}
for _kind, _look in _PUT.items():
    _kind.tollfree = property(_look)
