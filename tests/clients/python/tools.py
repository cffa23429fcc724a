"""A function tool, there and back, in both APIs: each call on the way has its own verdict."""

import json

from openai import OpenAI

client = OpenAI()
function = {
    "name": "weather",
    "description": "The weather of a city.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
    "strict": True,
}


def weather(city):
    return f"18 degrees and clear in {city}"


def show(raw):
    print("verdict:", raw.headers.get("x-tollfree-verdict"), raw.headers.get("x-tollfree-certainty"))
    return raw.parse()


def chat():
    create = client.chat.completions.with_raw_response.create
    ask = {"model": "gpt-5-mini", "tools": [{"type": "function", "function": function}]}
    messages = [{"role": "user", "content": "Is it warm in Lisbon?"}]
    message = show(create(**ask, messages=messages, tool_choice="required")).choices[0].message
    messages.append(message)
    for call in message.tool_calls:
        result = weather(**json.loads(call.function.arguments))
        messages.append({"role": "tool", "tool_call_id": call.id, "content": result})
    print(show(create(**ask, messages=messages)).choices[0].message.content)


def responses():
    create = client.responses.with_raw_response.create
    ask = {"model": "gpt-5-mini", "tools": [{"type": "function", **function}]}
    items = [{"role": "user", "content": "Is it warm in Lisbon?"}]
    output = show(create(**ask, input=items, tool_choice="required")).output
    items += output
    for call in (item for item in output if item.type == "function_call"):
        result = weather(**json.loads(call.arguments))
        items.append({"type": "function_call_output", "call_id": call.call_id, "output": result})
    print(show(create(**ask, input=items)).output_text)


chat()
responses()
