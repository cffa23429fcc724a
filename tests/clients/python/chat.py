"""One chat call, and whether it was free."""

from openai import OpenAI

messages = [{"role": "user", "content": "Greet me in one word."}]
raw = OpenAI().chat.completions.with_raw_response.create(model="gpt-5-mini", messages=messages)
print(raw.parse().choices[0].message.content)
print("verdict:", raw.headers.get("x-tollfree-verdict"), raw.headers.get("x-tollfree-certainty"))
