"""Errors pass as OpenAI sent them and are tagged too: nothing was generated, so nothing is settled."""

from openai import APIStatusError, OpenAI

client = OpenAI()
question = [{"role": "user", "content": "Is anybody there?"}]


def show(client, model):
    try:
        client.chat.completions.create(model=model, messages=question)
    except APIStatusError as error:
        headers = error.response.headers
        print(error.status_code, error.code)
        print("verdict:", headers.get("x-tollfree-verdict"), headers.get("x-tollfree-reason"))


show(client.with_options(api_key="sk-wrong"), "gpt-5-mini")
show(client, "no-such-model")
