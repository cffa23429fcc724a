"""A stream: its head carries the call's id, a look-up gives the final verdict once it has ended."""

from openai import OpenAI

client = OpenAI()
stream = client.chat.completions.create(
    model="gpt-5-mini", messages=[{"role": "user", "content": "Tell me a short tale."}], stream=True
)
for chunk in stream:
    print(chunk.choices[0].delta.content or "", end="", flush=True)
print()

call = stream.response.headers.get("x-tollfree-call")
tag = client.get(f"/_tollfree/calls/{call}", cast_to=object) if call else {}
print("verdict:", tag.get("verdict"), tag.get("certainty"))
