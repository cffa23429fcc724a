"""The Responses API, whole and as a stream."""

from openai import OpenAI

client = OpenAI()

raw = client.responses.with_raw_response.create(model="gpt-5-mini", input="Name a colour.")
print(raw.parse().output_text)
print("verdict:", raw.headers.get("x-tollfree-verdict"), raw.headers.get("x-tollfree-certainty"))

stream = client.responses.create(model="gpt-5-mini", input="Name a colour.", stream=True)
for event in stream:
    if event.type == "response.output_text.delta":
        print(event.delta, end="", flush=True)
print()

call = stream.response.headers.get("x-tollfree-call")
tag = client.get(f"/_tollfree/calls/{call}", cast_to=object) if call else {}
print("verdict:", tag.get("verdict"), tag.get("certainty"))
