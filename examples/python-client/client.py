"""python3 client.py http://127.0.0.1:3000/live [--transport sse|ws|auto] [--cursor ID]

Prints what it hears. A client of Dualcast, written from docs/protocol.md alone."""

import argparse
import asyncio
import base64
import json
import logging
import random
import re
import time

import aiohttp


async def blocks(read):
    """The blocks of an event stream, by the HTML standard, in whatever pieces it is read."""
    rest, block, mark, is_after_cr = b"", {}, b"\xef\xbb\xbf", False
    while piece := await read():
        rest += piece.removeprefix(b"\n") if is_after_cr else piece
        is_after_cr = piece.endswith(b"\r")
        *lines, rest = re.split(rb"\r\n|\r|\n", rest)
        for line in lines:
            line, mark = line.removeprefix(mark).decode(errors="replace"), b""
            name, value = re.fullmatch("([^:]*)(?:: ?)?(.*)", line).groups()
            if not line:
                yield block
                block = {}
            elif name == "retry" and re.fullmatch("[0-9]{1,9}", value):
                yield {"retry": int(value)}  # at once: it holds though its block may never end
            elif not name and value.startswith("channels "):
                yield {"channels": value[9:].split(",")}
            elif name == "data":
                block["data"] = f"{block['data']}\n{value}" if "data" in block else value
            elif name in ("event", "type") or name == "id" and "\0" not in value:
                block[name] = value


class Client:
    """`async for item in Client(url)`, until the server says that it is over for good. An item is
    what a WebSocket is sent, over either transport: a notice has a "control"; a message's "data" is
    a str, bytes, or what its JSON says, and without an "id" it is volatile."""

    LOST = (aiohttp.ClientError, OSError, TimeoutError)  # what a connection dies of
    shortest, longest, lasting = 0.5, 30, 10  # seconds: backoffs; the life that sets them back
    opening, quiet = 10, 60  # seconds of silence: before the opening, before an interval is known

    def __init__(self, url, transport="auto", cursor=None, *, ws=None, post=None, **options):
        self.cursor, self._options = cursor, options  # the last id that was told; aiohttp's options
        self._url, self._ws_url, self._post_url = url, ws or url, post or url
        sse, ws = self._event_stream, self._web_socket
        self._ways = {"sse": [sse], "ws": [ws], "auto": [ws, sse]}[transport]
        self._ws, self._ref, self._reading, self._retry = None, 0, asyncio.Lock(), 0

    async def __aiter__(self):
        backoff = self.shortest
        async with aiohttp.ClientSession(**self._options) as self._http:
            while True:
                self._opened = self._silence = self._channels = None
                for listen in self._ways:
                    try:
                        async for item in listen(self.cursor and {"last-event-id": self.cursor}):
                            if self._heed(item):
                                yield item
                            if not item.get("reconnect", True):
                                return
                    except self.LOST as error:
                        logging.getLogger("dualcast").warning("%s: %r", listen.__name__, error)
                    if self._opened:
                        break  # else by the other transport, this time
                lasted = self._opened and time.monotonic() - self._opened > self.lasting
                backoff = self.shortest if lasted else min(2 * backoff, self.longest)
                await asyncio.sleep(self._retry / 1000 + random.uniform(0, backoff))

    def _heed(self, item):
        """Keeps what it says of the connection, and answers whether the caller is told, too."""
        self._opened = self._opened or time.monotonic()
        self.cursor = item.get("id") or self.cursor
        self._retry = item.get("retry", self._retry)
        self._channels = item.get("channels", self._channels)
        self._silence = 2 * item["interval"] / 1000 + 1 if "interval" in item else self._silence
        return item.get("control") not in ("welcome", "heartbeat")

    async def send(self, event, data, key=None):
        """Answers the `reply` or `error`, or raises one of `LOST`: with a `key`, repeat it then."""
        said = {"event": event, "data": data} | ({"key": key} if key else {})
        if (ws := self._ws) and not ws.closed:
            self._ref = ref = self._ref + 1
            await ws.send_json(said | {"ref": ref})
            return (await self._receive(ws, ref))[0]
        async with self._http.post(self._post_url, json=said) as response:
            return await response.json()

    async def _receive(self, ws, ref=None):
        """What came with this `ref`. Who waits for a reply reads for all: the loop may be busy."""
        while ref not in self._kept:
            async with self._reading:
                if ref not in self._kept:
                    frame = (await ws.receive(self._silence)).data
                    if not isinstance(frame, (str, bytes)):
                        raise ConnectionError(f"closed, {ws.close_code}")
                    head, *data = frame.split(b"\n", 1) if isinstance(frame, bytes) else [frame]
                    said = json.loads(head) | ({"data": data[0]} if data else {})
                    self._kept.setdefault(said.pop("ref", None), []).append(said)
        return self._kept.pop(ref)

    async def _web_socket(self, params):
        self._silence, self._kept = self.opening, {}
        dial = self._http.ws_connect(self._ws_url, params=params, max_msg_size=0)
        async with await asyncio.wait_for(dial, self.opening) as self._ws:
            while True:
                for said in await self._receive(self._ws):
                    yield said

    async def _event_stream(self, params):
        get = self._http.get(self._url, params=params, timeout=aiohttp.ClientTimeout())
        async with await asyncio.wait_for(get, self.opening) as response:
            if response.status == 204:
                yield {"control": "closing", "reason": "finished", "reconnect": False}
            elif response.content_type != "text/event-stream":
                raise ConnectionError(f"{response.status}, {response.content_type}")
            self._silence, body = self.quiet, response.content
            async for block in blocks(lambda: asyncio.wait_for(body.readany(), self._silence)):
                yield self._words(**block)

    def _words(self, event="", data=None, type=None, **said):
        """A block of an event stream, in the words of a WebSocket."""
        if data is None or event.startswith("dualcast:"):
            return {"control": event[9:] if data else "heartbeat"} | json.loads(data or "{}") | said
        if self._channels:
            said["channel"], _, event = event.partition("/")
        if event.endswith(";base64"):
            event, data = event[:-7], base64.b64decode(data)
        elif type == "json":
            data = json.loads(data)
        return {"event": event or "message", "data": data, **said}


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("--transport", choices=["auto", "sse", "ws"], default="auto")
    parser.add_argument("--cursor")
    async for item in Client(**vars(parser.parse_args())):
        print(item, flush=True)


if __name__ == "__main__":
    asyncio.run(main())
