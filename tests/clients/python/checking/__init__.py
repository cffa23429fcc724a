"""What `checks.py` is made of; the programs beside it need none of this."""

import openai

DEADLINE = 30.0  # seconds, for one call and for one program
MODEL = "gpt-5-mini"


def sdk(base_url, kind=openai.OpenAI, **options):
    """A client of the SDK that never tries twice: each failure is to be seen."""
    return kind(base_url=base_url, timeout=DEADLINE, max_retries=0, **options)


def says(text):
    return [{"role": "user", "content": text}]
