"""Holds client.py to a real server, through a TCP proxy that takes the network away.

    pip install -r examples/python-client/requirements.txt
    python3 -m unittest discover examples/python-client

Builds the server, the fixture of the browsers' tests, unless `DUALCAST_FIXTURE` names one.
"""

import ast
import asyncio
import contextlib
import functools
import json
import logging
import os
import pathlib
import re
import socket
import struct
import subprocess
import sys
import unittest
from unittest import mock

import aiohttp

import client

REPOSITORY = pathlib.Path(__file__).parents[2]
PATIENCE = 60  # In seconds, until something that should have come is given up. No test waits for it to pass.


class Client(client.Client):
    shortest, longest = 0.01, 0.05


class EventStream(unittest.IsolatedAsyncioTestCase):
    """The parser alone."""

    # What a stream says, and the blocks that it is. The first are the standard's own examples (9.2.6).
    CORPUS = [
        (b"data: YHOO\ndata: +2\ndata: 10\n\n", [{"data": "YHOO\n+2\n10"}]),
        (
            b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n",
            [{}, {"data": "first event", "id": "1"}, {"data": "second event", "id": ""}, {"data": " third event"}],
        ),
        (b"data\n\ndata\ndata\n\ndata:", [{"data": ""}, {"data": "\n"}]),
        (b"data:test\n\ndata: test\n\n", [{"data": "test"}, {"data": "test"}]),
        (b"data: a\rdata: b\r\rdata: c\r\r", [{"data": "a\nb"}, {"data": "c"}]),
        (b"data: a\r\ndata: b\r\n\r\ndata: c\r\n\r\n", [{"data": "a\nb"}, {"data": "c"}]),
        (b"data: a\r\n\rdata: b\n\r\ndata: c\r\n\n", [{"data": "a"}, {"data": "b"}, {"data": "c"}]),
        (b"data: a\n\n\r\r\n\n", [{"data": "a"}, {}, {}, {}]),
        (b"\xef\xbb\xbfdata: a\n\n\xef\xbb\xbfdata: b\n\n", [{"data": "a"}, {}]),
        (b"\xef\xbb\xbf\ndata: \xef\xbb\xbfa\n\n", [{}, {"data": "\ufeffa"}]),
        ("data: grün ✓ 🦀\n\n".encode(), [{"data": "grün ✓ 🦀"}]),
        (b"data: \xff\xe2\x82\n\n", [{"data": "\ufffd\ufffd"}]),
        (
            b'event: note\nevent: price\ntype: json\ndata: {\ndata: "a":1}\n\n',
            [{"event": "price", "type": "json", "data": '{\n"a":1}'}],
        ),
        (b"id: a\0b\nid: 7\nid: 8\0\ndata: x\n\n", [{"id": "7", "data": "x"}]),
        (b"retry: 20\nretry: 2x\nretry: -1\nretry:\nretry: \xd9\xa3\n: padding\n", [{"retry": 20}]),
        (b"data : a\nDATA: b\nother: c\n:data: d\ndata:: e\n\n", [{"data": ": e"}]),
        (b"retry: 20\n: channels a.b,c\n: heartbeat\n", [{"retry": 20}, {"channels": ["a.b", "c"]}]),
        (b"data: cut", []),
        (b"data: cut\nid: 9\n", []),
        (b"", []),
    ]

    async def read(self, *pieces):
        pieces = iter(pieces)

        async def read():
            return next(pieces, b"")

        return [block async for block in client.blocks(read)]

    async def test_a_stream_is_the_same_blocks_wherever_it_is_split(self):
        for stream, expected in self.CORPUS:
            # None of them empty, which is what the end reads as.
            cuts = [(stream[:at], stream[at:]) for at in range(1, len(stream))]
            for pieces in [(stream,), *cuts, [bytes([byte]) for byte in stream]]:
                with self.subTest(pieces=pieces):
                    self.assertEqual(await self.read(*pieces), expected)

    async def test_every_three_pieces_of_every_stream_behind_another_are_the_same_blocks(self):
        whole = [stream for stream, _ in self.CORPUS if stream.endswith((b"\n\n", b"\r\r"))]
        for stream in whole:
            for first in range(1, len(stream) - 1):
                for second in range(first + 1, len(stream)):
                    pieces = stream[:first], stream[first:second], stream[second:]
                    self.assertEqual(await self.read(*pieces), await self.read(stream), pieces)

    async def test_a_block_is_told_when_it_ends_not_when_the_next_line_begins(self):
        for stream in [b"data: a\n\n", b"data: a\r\r", b"data: a\r\n\r"]:
            never = asyncio.Event()
            pieces = iter([stream])

            async def read():
                return next(pieces, None) or await never.wait()

            async with contextlib.aclosing(client.blocks(read)) as blocks:
                self.assertEqual(await asyncio.wait_for(anext(blocks), PATIENCE), {"data": "a"})


class WithServer(unittest.IsolatedAsyncioTestCase):
    """A test with a server, a proxy before it, and clients that are closed behind it."""

    async def asyncSetUp(self):
        # What is lost here is lost on purpose; and asyncio, in tests, tells of each step that a busy machine made slow.
        for name in ("dualcast", "asyncio"):
            logging.getLogger(name).setLevel(logging.ERROR)
        self.server = Server()
        await self.server.start()
        self.addAsyncCleanup(self.server.stop)
        self.proxy = await self.start_proxy()
        self.http = await self.enterAsyncContext(aiohttp.ClientSession())
        self.start = await self.head()

    async def start_proxy(self):
        proxy = Proxy(self.server)
        await proxy.start()
        self.addAsyncCleanup(proxy.close)
        return proxy

    def connect(self, transport, cursor=None, *, query="channels=room", path="/live", **options):
        """A client, and what it hears. A cursor makes sure that it hears all, whenever it gets there."""
        cursor = cursor or self.start
        it = Client(f"{self.proxy.url}{path}?{query}", transport, cursor, **options)
        items = aiter(it)
        self.addAsyncCleanup(items.aclose)
        return it, items

    async def hear(self, items, count):
        async with asyncio.timeout(PATIENCE):
            return [await anext(items) for _ in range(count)]

    async def hear_data(self, items, count):
        return [item.get("data", item) for item in await self.hear(items, count)]

    async def rest(self, items):
        async with asyncio.timeout(PATIENCE):
            return [item async for item in items]

    async def post(self, path, body, **query):
        query = {"channel": "room"} | query
        async with self.http.post(self.server.url + path, params=query, data=body) as response:
            self.assertEqual(response.status, 200, await response.text())
            return await response.text()

    async def publish(self, text, **query):
        return await self.post("/publish", text, **query)

    async def head(self):
        async with self.http.get(self.server.url + "/state") as response:
            return (await response.json())["head"]

    async def until(self, is_so):
        async with asyncio.timeout(PATIENCE):
            while not is_so():
                await asyncio.sleep(0.01)

    async def requests(self):
        """How each connection was asked for: its path, and the cursor in its query."""
        async with self.http.get(self.server.url + "/requests") as response:
            requests = [request for request in await response.json() if request["method"] == "GET"]
        cursor = re.compile("last-event-id=([^&]*)")
        return [(request["path"], *cursor.findall(request["query"])) for request in requests]


class Transport:
    """What holds on each of them."""

    async def test_text_json_and_binary_are_told_apart(self):
        _, items = self.connect(self.transport)
        ids = [
            await self.publish("5", event="note"),
            await self.publish(" two\nlines, grün "),
            await self.publish(""),
            await self.post("/publish-json", '{"a":\n[1, null]}', event="price"),
            await self.post("/publish-json", "5"),
            await self.post("/publish-json", '"5"'),
            await self.post("/publish-binary", b"a\n\0\xff", event="image"),
            await self.post("/publish-binary", b""),
        ]
        expected = [
            ("note", "5"),
            ("message", " two\nlines, grün "),
            ("message", ""),
            ("price", {"a": [1, None]}),
            ("message", 5),
            ("message", "5"),
            ("image", b"a\n\0\xff"),
            ("message", b""),
        ]
        expected = [{"id": id, "event": event, "data": data} for id, (event, data) in zip(ids, expected, strict=True)]
        self.assertEqual(await self.hear(items, len(expected)), expected)

    async def test_a_volatile_message_has_no_id_and_leaves_the_cursor(self):
        it, items = self.connect(self.transport)
        id = await self.publish("logged")
        await self.hear(items, 1)  # So it is there, as it must be for what comes next.
        await self.post("/publish-volatile", "volatile")
        self.assertEqual(await self.hear(items, 1), [{"event": "message", "data": "volatile"}])
        self.assertEqual(it.cursor, id)

    async def test_of_several_channels_each_message_names_its_own(self):
        _, items = self.connect(self.transport, query="channels=room,room.42")
        await self.publish("a")
        await self.publish("b", channel="room.42", event="a/b")
        await self.post("/publish-binary", b"c", channel="room.42")
        heard = [(item["channel"], item["event"], item["data"]) for item in await self.hear(items, 3)]
        self.assertEqual(heard, [("room", "message", "a"), ("room.42", "a/b", "b"), ("room.42", "message", b"c")])

    async def test_cut_again_and_again_it_hears_everything_once_and_in_order(self):
        it, items = self.connect(self.transport)
        for number in range(20):
            id = await self.publish(str(number))
            self.assertEqual(await self.hear(items, 1), [{"id": id, "event": "message", "data": str(number)}])
            self.proxy.cut()
        self.assertEqual(it.cursor, id)
        self.assertGreaterEqual(self.proxy.accepted, 20)

    async def test_cut_in_the_middle_of_a_message_it_hears_it_whole_and_once(self):
        long = "x" * 200_000
        _, items = self.connect(self.transport)
        await self.publish("1")
        await self.hear(items, 1)
        self.proxy.cut_after(100_000)
        await self.publish(long)
        await self.publish("3")
        self.assertEqual(await self.hear_data(items, 2), [long, "3"])
        self.assertEqual(self.proxy.accepted, 2)

    async def test_it_comes_back_with_the_last_id_that_it_was_told(self):
        it, items = self.connect(self.transport)
        id = await self.publish("1")
        await self.hear(items, 1)
        self.proxy.cut()
        await self.publish("2")
        await self.hear(items, 1)
        self.assertEqual(await self.requests(), [("/live", self.start), ("/live", id)])

    async def test_a_heartbeat_moves_the_cursor(self):
        it, items = self.connect(self.transport, query="channels=room&heartbeat=50")
        await self.publish("1")
        await self.hear(items, 1)
        id = await self.publish("of others", channel="other")
        waiting = asyncio.ensure_future(anext(items))
        await self.until(lambda: it.cursor == id)
        self.assertFalse(waiting.done(), "a heartbeat is nothing for the caller")
        waiting.cancel()

    async def test_a_black_hole_is_found_by_its_silence(self):
        _, items = self.connect(self.transport, query="channels=room&heartbeat=50")
        await self.publish("1")
        await self.hear(items, 1)
        self.proxy.blackhole()
        await self.publish("2")
        self.assertEqual(await self.hear_data(items, 1), ["2"])
        self.assertEqual(self.proxy.accepted, 2)

    async def test_a_server_that_restarted_is_a_gap_of_another_life(self):
        _, items = self.connect(self.transport)
        before = await self.publish("1")
        await self.hear(items, 1)
        await self.server.stop()
        await self.server.start()
        id = await self.publish("2")
        closing, gap, message = await self.hear(items, 3)
        self.assertEqual((closing["control"], closing["reason"], closing["reconnect"]), ("closing", "shutdown", True))
        self.assertEqual((gap["control"], gap["reason"], gap["from"], gap["channel"]), ("gap", "epoch", before, "room"))
        self.assertEqual(message, {"id": id, "event": "message", "data": "2"})

    async def test_what_was_trimmed_is_a_gap(self):
        ids = [await self.publish(str(number), channel="short.room") for number in range(6)]
        _, items = self.connect(self.transport, query="channels=short.room")
        gap, *messages = await self.hear(items, 4)
        self.assertEqual((gap["control"], gap["reason"]), ("gap", "trimmed"))
        self.assertEqual((gap["from"], gap["to"]), (self.start, ids[2]))
        self.assertEqual([message["data"] for message in messages], ["3", "4", "5"])

    async def test_a_cursor_that_makes_no_sense_is_a_gap(self):
        _, items = self.connect(self.transport, "not/a cursor")
        [gap] = await self.hear(items, 1)
        self.assertEqual((gap["control"], gap["reason"]), ("gap", "unreadable"))

    async def test_a_finished_channel_ends_it_and_says_why(self):
        it, items = self.connect(self.transport)
        await self.publish("last")
        await self.post("/finish", "")
        message, finished, closing = await self.rest(items)
        self.assertEqual(message["data"], "last")
        self.assertEqual((finished["control"], finished["channel"]), ("finished", "room"))
        self.assertEqual((closing["control"], closing["reason"], closing["reconnect"]), ("closing", "finished", False))

        _, items = self.connect(self.transport, it.cursor)
        [closing] = await self.rest(items)
        self.assertEqual(closing["reason"], "finished", "whoever comes back is told so again")

    async def test_a_reply_is_the_same_on_each_transport(self):
        it, items = self.connect(self.transport)
        await self.publish("1")
        await self.hear(items, 1)
        reply = await it.send("note", {"text": "hello"}, key="k")
        [message] = await self.hear(items, 1)
        self.assertEqual(reply, {"control": "reply", "data": {"id": message["id"]}})
        self.assertEqual((message["event"], message["data"]), ("note", {"text": "hello"}))
        self.assertEqual(await it.send("note", {"text": "hello"}, key="k"), reply, "it is the same message")

    async def test_an_error_is_the_same_on_each_transport(self):
        it, items = self.connect(self.transport, query="channels=room,other")
        await self.publish("1")
        await self.hear(items, 1)
        error = await it.send("", None)
        self.assertEqual(error, {"control": "error", "code": "bad-message", "message": "an event name can't be empty"})
        await self.post("/finish", "")
        self.assertEqual((await it.send("note", "too late"))["code"], "finished")

    async def test_many_send_at_once_while_nobody_listens_and_all_is_heard(self):
        it, items = self.connect(self.transport)
        await self.publish("1")
        await self.hear(items, 1)
        async with asyncio.timeout(PATIENCE):
            replies = await asyncio.gather(*(it.send("note", number) for number in range(50)))
        messages = await self.hear(items, 50)
        ids = {message["data"]: message["id"] for message in messages}
        self.assertEqual([reply["data"]["id"] for reply in replies], [ids[number] for number in range(50)])

    async def test_many_send_while_it_listens(self):
        it, items = self.connect(self.transport)
        await self.publish("1")
        await self.hear(items, 1)
        listening = asyncio.ensure_future(self.hear_data(items, 50))
        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(*(it.send("note", number) for number in range(50)))
        self.assertEqual(sorted(await listening), list(range(50)))

    async def test_a_reply_is_had_behind_a_burst_that_nobody_has_read(self):
        it, items = self.connect(self.transport)
        await self.publish("first")
        await self.hear(items, 1)
        await self.post("/publish-burst", "900")
        async with asyncio.timeout(PATIENCE):
            reply = await it.send("note", "last")
        heard = await self.hear(items, 901)
        self.assertEqual([item["data"] for item in heard], [*map(str, range(1, 901)), "last"])
        self.assertEqual(reply["data"]["id"], heard[-1]["id"])

    async def test_a_caller_that_stops_in_between_goes_on_where_it_was(self):
        it, items = self.connect(self.transport)
        for text in "123":
            await self.publish(text)
        self.assertEqual(await self.hear_data(items, 1), ["1"])
        await items.aclose()
        items = aiter(it)
        self.addAsyncCleanup(items.aclose)
        self.assertEqual(await self.hear_data(items, 2), ["2", "3"])

    async def test_a_time_for_requests_ends_no_stream(self):
        timeout = aiohttp.ClientTimeout(total=0.3)
        _, items = self.connect(self.transport, query="channels=room&heartbeat=50", timeout=timeout)
        waiting = asyncio.ensure_future(self.hear_data(items, 1))
        await self.until(lambda: self.proxy.to_client > 2_000)  # More than a second of heartbeats.
        await self.publish("1")
        self.assertEqual(await waiting, ["1"])
        self.assertEqual(self.proxy.accepted, 1)

    async def test_refused_it_keeps_coming_back(self):
        _, items = self.connect(self.transport)
        self.proxy.refuse()
        waiting = asyncio.ensure_future(self.hear_data(items, 1))
        await self.until(lambda: self.proxy.accepted >= 5)
        self.proxy.heal()
        await self.publish("1")
        self.assertEqual(await waiting, ["1"])

    async def test_it_waits_as_it_is_told_and_longer_with_each_failure_until_a_life_has_lasted(self):
        it, items = self.connect(self.transport)
        longest, waits, real_sleep = [], [], asyncio.sleep

        def no_chance(_, high):
            longest.append(high)
            return 0

        async def sleep(seconds, result=None):
            if len(longest) > len(waits):  # The client's own, and not one of the tests'.
                waits.append(seconds)
            return await real_sleep(seconds, result)

        with mock.patch("random.uniform", no_chance), mock.patch("asyncio.sleep", sleep):
            self.proxy.refuse()
            waiting = asyncio.ensure_future(self.hear_data(items, 1))
            await self.until(lambda: len(longest) >= 5)
            self.assertEqual(longest[:5], [0.02, 0.04, 0.05, 0.05, 0.05])
            self.assertEqual(waits[:4], [0, 0, 0, 0], "no server has told it anything")
            self.proxy.heal()
            for lasting, expected in [(PATIENCE, 0.05), (0, 0.01), (PATIENCE, 0.02)]:
                await self.publish("hello")
                self.assertEqual(await waiting, ["hello"])
                it.lasting = lasting
                before = len(longest)
                self.proxy.cut()
                waiting = asyncio.ensure_future(self.hear_data(items, 1))
                await self.until(lambda: len(waits) > before)
                self.assertEqual(longest[before], expected)
                self.assertGreaterEqual(waits[before], 0.05, "the fixture says so, or somewhat more")
            waiting.cancel()

    async def test_the_program_prints_what_it_hears(self):
        await self.publish("hello")
        await self.post("/finish", "")
        arguments = [f"{self.proxy.url}/live?channels=room", "--transport", self.transport, "--cursor", self.start]
        program = pathlib.Path(client.__file__)
        process = await asyncio.create_subprocess_exec(
            sys.executable, program, *arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        async with asyncio.timeout(PATIENCE):
            told, errors = await process.communicate()
        self.assertEqual((process.returncode, errors), (0, b""))
        said = [ast.literal_eval(line) for line in told.decode().splitlines()]
        self.assertEqual([item.get("data", item.get("control")) for item in said], ["hello", "finished", "closing"])


class OverServerSentEvents(Transport, WithServer):
    transport = "sse"

    async def test_heartbeats_that_are_comments_leave_it_without_an_interval_and_keep_it_alive(self):
        it, items = self.connect("sse", query="channels=room&heartbeat=50&comments=true")
        it.quiet = 1
        waiting = asyncio.ensure_future(self.hear_data(items, 1))
        await self.until(lambda: self.proxy.to_client > 1_000)
        self.assertGreater(it._retry, 0, "that of the opening, though no block has ended")
        await self.publish("1")
        self.assertEqual(await waiting, ["1"])
        self.assertEqual(self.proxy.accepted, 1)

    async def test_of_several_channels_a_comment_names_them_where_heartbeats_are_comments(self):
        it, items = self.connect("sse", query="channels=room,room.42&comments=true")
        await self.publish("a")
        await self.publish("b", channel="room.42", event="a/b")
        heard = [(item["channel"], item["event"], item["data"]) for item in await self.hear(items, 2)]
        self.assertEqual(heard, [("room", "message", "a"), ("room.42", "a/b", "b")])
        self.assertEqual(it._channels, ["room", "room.42"])

    async def test_what_is_no_event_stream_is_not_read_as_one(self):
        await self.is_logged_and_tried_again("200, text/html", path="/page")

    async def test_a_refusal_with_a_status_is_logged_and_tried_again(self):
        await self.is_logged_and_tried_again("400, application/json", query="channels=a%20b")

    async def is_logged_and_tried_again(self, answer, **where):
        _, items = self.connect("sse", **where)
        waiting = asyncio.ensure_future(anext(items))
        with self.assertLogs("dualcast", logging.WARNING) as logs:
            await self.until(lambda: len(logs.output) >= 2)
        for line in logs.output:
            self.assertIn(answer, line)
        waiting.cancel()


class OverWebSocket(Transport, WithServer):
    transport = "ws"

    async def test_a_message_beyond_the_limit_ends_it_and_says_why(self):
        it, items = self.connect("ws")
        await self.publish("1")
        await self.hear(items, 1)
        with self.assertRaises(it.LOST):
            await it.send("note", "x" * 70_000)
        [closing] = await self.rest(items)
        self.assertEqual((closing["reason"], closing["code"], closing["reconnect"]), ("too-large", 1009, False))

    async def test_a_reply_that_is_lost_with_the_connection_is_an_error_and_a_key_makes_it_whole(self):
        it, items = self.connect("ws")
        await self.publish("1")
        await self.hear(items, 1)
        self.proxy.blackhole()
        sending = asyncio.ensure_future(it.send("note", "2", key="k"))
        await self.until(lambda: self.proxy.swallowed)
        self.proxy.cut()
        with self.assertRaises(it.LOST):
            await sending
        await self.publish("between")
        self.assertEqual(await self.hear_data(items, 1), ["between"])
        reply = await it.send("note", "2", key="k")
        self.assertEqual([reply["data"]["id"]], [item["id"] for item in await self.hear(items, 1)])

    async def test_a_reply_that_is_waited_for_when_the_loop_ends_is_an_error(self):
        it, items = self.connect("ws")
        await self.publish("1")
        await self.hear(items, 1)
        self.proxy.blackhole()
        sending = asyncio.ensure_future(it.send("note", "2"))
        await self.until(lambda: self.proxy.swallowed)
        await items.aclose()
        async with asyncio.timeout(PATIENCE):
            with self.assertRaises(it.LOST):
                await sending

    async def test_a_burst_behind_a_cut_in_a_binary_frame_is_whole(self):
        it, items = self.connect("ws")
        await self.publish("1")
        await self.hear(items, 1)
        self.proxy.cut_after(5_000)
        blob = bytes(range(256)) * 100
        await self.post("/publish-binary", blob)
        self.assertEqual(await self.hear_data(items, 1), [blob])


class OverEither(WithServer):
    """A transport that is chosen anew for each connection, at the one cursor."""

    def connect(self, transport="auto", cursor=None, *, web_sockets=None, **options):
        """With WebSockets on a route, and through a proxy, of their own."""
        ws = f"{(web_sockets or self.proxy).url}/ws?channels=room"
        post = f"{self.proxy.url}/say?channel=room"
        return super().connect(transport, cursor, path="/sse", ws=ws, post=post, **options)

    async def paths(self):
        return [path for path, *_ in await self.requests()]

    async def test_a_cursor_of_one_transport_is_one_of_the_other(self):
        cursor, heard = self.start, []
        for number, transport in enumerate(["ws", "sse", "ws", "sse", "auto"]):
            await self.publish(str(number))
            it, items = self.connect(transport, cursor)
            heard += await self.hear_data(items, 1)
            await items.aclose()
            cursor = it.cursor
        self.assertEqual(heard, ["0", "1", "2", "3", "4"])
        self.assertEqual(await self.paths(), ["/ws", "/sse", "/ws", "/sse", "/ws"])

    async def test_where_a_proxy_knows_no_upgrade_it_goes_by_server_sent_events(self):
        self.proxy.knows_upgrades = False
        it, items = self.connect()
        await self.publish("1")
        self.assertEqual(await self.hear_data(items, 1), ["1"])
        self.assertEqual(await self.paths(), ["/ws", "/sse"], "the first of them is a request like any other")
        reply = await it.send("note", "2")
        self.assertEqual([reply["data"]["id"]], [item["id"] for item in await self.hear(items, 1)])

    async def test_a_web_socket_that_opens_and_says_nothing_is_given_up_for_the_other(self):
        for stall in (Proxy.stall, Proxy.darken):
            proxy = await self.start_proxy()
            stall(proxy)
            it, items = self.connect(web_sockets=proxy, cursor=await self.head())
            it.opening = 0.3
            await self.publish("1")
            self.assertEqual(await self.hear_data(items, 1), ["1"])
            self.assertEqual((await self.paths())[-1], "/sse")

    async def test_it_falls_back_and_returns_at_the_one_cursor(self):
        """By WebSocket, by Server-Sent Events while there is none, and back; nothing lost, nothing twice."""
        other = await self.start_proxy()
        it, items = self.connect(web_sockets=other)
        heard, cursors = [], [self.start]
        for number, change in enumerate([other.heal, other.refuse, other.heal, other.refuse]):
            change()
            self.proxy.cut()
            await self.publish(str(number))
            heard += await self.hear_data(items, 1)
            cursors.append(it.cursor)
        self.assertEqual(heard, ["0", "1", "2", "3"])
        expected = [*zip(["/ws", "/sse", "/ws", "/sse"], cursors)]
        self.assertEqual(await self.requests(), expected)

    async def test_a_web_socket_that_was_open_is_followed_by_another(self):
        _, items = self.connect()
        for text in "123":
            await self.publish(text)
            self.assertEqual(await self.hear_data(items, 1), [text])
            self.proxy.cut()
        self.assertEqual(await self.paths(), ["/ws", "/ws", "/ws"])

    async def test_ended_for_good_on_one_it_does_not_try_the_other(self):
        it, items = self.connect()
        await self.post("/finish", "")
        self.assertEqual([item["control"] for item in await self.rest(items)], ["finished", "closing"])
        self.assertEqual(await self.paths(), ["/ws"])


class Server:
    """The fixture, on the port that it had before, if any."""

    port = 0

    async def start(self):
        environment = os.environ | {"ADDR": f"127.0.0.1:{self.port}"}
        self.process = await asyncio.create_subprocess_exec(fixture(), env=environment, stderr=subprocess.PIPE)
        said = b""
        async with asyncio.timeout(PATIENCE):
            while not (address := re.search(rb"http://127\.0\.0\.1:(\d+)", said)):
                line = await self.process.stderr.readline()
                if not line:
                    raise RuntimeError(f"the fixture ended: {said.decode()}")
                said += line
        self.port = int(address[1])
        self.url = f"http://127.0.0.1:{self.port}"

    async def stop(self):
        with contextlib.suppress(ProcessLookupError):
            self.process.terminate()
        try:
            await asyncio.wait_for(self.process.communicate(), PATIENCE)
        finally:
            with contextlib.suppress(ProcessLookupError):
                self.process.kill()


@functools.cache
def fixture():
    """The path of its binary. Cargo says it, since its target directory may be anywhere."""
    if path := os.environ.get("DUALCAST_FIXTURE"):
        return path
    command = "cargo build --locked --package=dualcast-tests --bin=fixture --message-format=json-render-diagnostics"
    told = subprocess.run(command.split(), cwd=REPOSITORY, stdout=subprocess.PIPE, check=True).stdout
    messages = [json.loads(line) for line in told.splitlines()]
    [path] = [message["executable"] for message in messages if message.get("executable")]
    return path


class Proxy:
    """Forwards to the server, until it is told otherwise."""

    def __init__(self, server):
        self._target = server
        self._links = {}  # Each with the task that runs it.
        self._is_dark = self._is_refusing = self._stalls = False
        self.knows_upgrades = True
        self.accepted = 0
        self.to_client = 0  # How many bytes it has brought.
        self.swallowed = 0  # How many bytes of clients it has let fall into the black hole.

    async def start(self):
        self._listener = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        port = self._listener.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"

    async def close(self):
        self._listener.close()
        await self._listener.wait_closed()
        self.cut()
        await asyncio.gather(*self._links.values())

    def cut(self):
        """Resets every connection, towards the client and the server. New ones are welcome."""
        for link in list(self._links):
            link.cut()

    def cut_after(self, count):
        """Cuts every open connection once it has brought its client so many more bytes."""
        for link in self._links:
            link.allowance = count

    def blackhole(self):
        """Swallows what comes on the open connections, and tells neither side. New ones are forwarded."""
        for link in self._links:
            link.is_dark = True

    def darken(self):
        """From now on new connections are black holes."""
        self._is_dark = True

    def stall(self):
        """From now on new connections go dark behind the head of the first answer."""
        self._stalls = True

    def refuse(self):
        """Resets every open connection, and new ones as they come, until `heal()`."""
        self._is_refusing = True
        self.cut()

    def heal(self):
        self._is_refusing = False

    async def _accept(self, reader, writer):
        self.accepted += 1
        if self._is_refusing:
            return reset(writer)
        try:
            there = await asyncio.open_connection("127.0.0.1", self._target.port)
        except OSError:
            return reset(writer)
        link = Link(self, (reader, writer), there)
        link.is_dark = self._is_dark
        self._links[link] = asyncio.current_task()
        try:
            await link.run()
        finally:
            del self._links[link]


class Link:
    """One client's connection, and the one to the server that belongs to it."""

    def __init__(self, proxy, client, server):
        self._proxy, self._client, self._server = proxy, client, server
        self.is_dark = False
        self.allowance = None
        self._is_cut = asyncio.Event()

    async def run(self):
        pumps = [asyncio.create_task(pump) for pump in (self._ask(), self._answer())]
        # Whichever ends first ends both: nothing here speaks to one that has hung up.
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        for pump in pumps:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)
        self.cut()

    def cut(self):
        self._is_cut.set()
        for _, writer in (self._client, self._server):
            reset(writer)

    async def _ask(self):
        while piece := await self._client[0].read(65_536):
            if self.is_dark:
                self._proxy.swallowed += len(piece)
                continue
            if not self._proxy.knows_upgrades:
                piece = re.sub(rb"(?i)\r\nupgrade: websocket", b"", piece)
            self._server[1].write(piece)
            await self._server[1].drain()
        await self._stay()

    async def _answer(self):
        while piece := await self._server[0].read(65_536):
            if self.is_dark:
                continue
            if self._proxy._stalls:
                head, end, _ = piece.partition(b"\r\n\r\n")
                piece, self.is_dark = head + end, True
            if self.allowance is not None:
                piece, self.allowance = piece[: self.allowance], self.allowance - len(piece)
            self._proxy.to_client += len(piece)
            self._client[1].write(piece)
            await self._client[1].drain()
            if self.allowance is not None and self.allowance <= 0:
                return
        await self._stay()

    async def _stay(self):
        """In the dark an end is not passed on either."""
        if self.is_dark:
            await self._is_cut.wait()


def reset(writer):
    """As when a machine is gone: with a reset, and without what is on its way."""
    if (its := writer.get_extra_info("socket")) is not None and its.fileno() >= 0:
        its.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


if __name__ == "__main__":
    unittest.main()
