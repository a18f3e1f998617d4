"""Reads a completion with the published `openai` client, and prints what it came to as one line of JSON.

    completions.py BASE_URL PROMPT WORDS [--async]
"""

import asyncio
import json
import sys

from openai import APIError, AsyncOpenAI, OpenAI


def main():
    base_url, prompt, words, *rest = sys.argv[1:]
    # A retry would start a second run, and hide what the test is about.
    options = {"base_url": base_url, "api_key": "none", "max_retries": 0}
    request = {
        "model": "parrot",
        "messages": [{"role": "user", "content": prompt}],
        "max_tokens": int(words),
        "stream": True,
    }
    text = asyncio.run(read_async(options, request)) if rest else read(options, request)
    print(json.dumps(text), flush=True)


def read(options, request):
    heard = Heard()
    try:
        with OpenAI(**options).chat.completions.create(**request) as stream:
            for chunk in stream:
                heard.take(chunk)
    except APIError as error:
        heard.fail(error)
    return heard.told()


async def read_async(options, request):
    heard = Heard()
    try:
        async with await AsyncOpenAI(**options).chat.completions.create(**request) as stream:
            async for chunk in stream:
                heard.take(chunk)
    except APIError as error:
        heard.fail(error)
    return heard.told()


class Heard:
    def __init__(self):
        self.text = ""
        self.reason = None
        self.error = None

    def take(self, chunk):
        # For a test that waits until it is under way.
        if not self.text:
            print("begun", flush=True)
        (choice,) = chunk.choices
        self.text += choice.delta.content or ""
        self.reason = choice.finish_reason

    def fail(self, error):
        self.error = {"name": type(error).__name__, "code": getattr(error, "code", None), "message": str(error)}

    def told(self):
        return {"text": self.text, "reason": self.reason, "error": self.error}


main()
