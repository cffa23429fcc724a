"""Answers parsed into a pydantic model, in both APIs."""

from openai import OpenAI
from pydantic import BaseModel


class City(BaseModel):
    name: str
    country: str
    inhabitants: int


def show(raw):
    print("verdict:", raw.headers.get("x-tollfree-verdict"), raw.headers.get("x-tollfree-certainty"))
    return raw.parse()


client = OpenAI()
question = "Describe a city."

chat = client.chat.completions.with_raw_response.parse(
    model="gpt-5-mini", messages=[{"role": "user", "content": question}], response_format=City
)
print(show(chat).choices[0].message.parsed)

response = client.responses.with_raw_response.parse(
    model="gpt-5-mini", input=question, text_format=City
)
print(show(response).output_parsed)
