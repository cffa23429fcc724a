"""Three calls at once; each answer carries its own verdict."""

import asyncio

from openai import AsyncOpenAI


async def capital(client, country):
    raw = await client.chat.completions.with_raw_response.create(
        model="gpt-5-mini", messages=[{"role": "user", "content": f"Capital of {country}?"}]
    )
    answer = raw.parse().choices[0].message.content
    return answer, raw.headers.get("x-tollfree-verdict"), raw.headers.get("x-tollfree-certainty")


async def main():
    async with AsyncOpenAI() as client:
        countries = ("Chile", "Kenya", "Nepal")
        for answer, *verdict in await asyncio.gather(*(capital(client, c) for c in countries)):
            print(answer)
            print("verdict:", *verdict)


asyncio.run(main())
