"""A publisher that knows nothing of Dualcast but docs/nats.md, with the client of NATS for Python.

    outside.py URL PREFIX

Publishes a few messages to the channel `room` as they are described there, and writes at which number each is stored, one a line.
"""

import asyncio
import hashlib
import sys

import nats


def message_id(channel, sender, key):
    """The id by which the stream knows a repeat."""

    def part(text):
        if text is None:
            return b"\xff\xff\xff\xff"
        text = text.encode()
        return len(text).to_bytes(4, "big") + text

    return hashlib.sha256(part(channel) + part(sender) + part(key)).hexdigest()[:32]


async def main(url, prefix):
    client = await nats.connect(url)
    stream = client.jetstream()

    async def publish(payload, **headers):
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        ack = await stream.publish(f"{prefix}.log.room", payload, headers=headers or None)
        print(ack.seq, flush=True)

    await publish("plain text, ünïcode".encode())
    await publish(b'{"bid": 101.5}', Dualcast_Event="price", Dualcast_Type="json", Dualcast_Key="EURUSD")
    await publish(b"\x00\xff", Dualcast_Event="image", Dualcast_Type="binary")
    await publish(b"\xff\xfe")
    await publish(b"100 %25", Dualcast_Event="100%25 sure")
    order = message_id("room", "anna", "order-77")
    await publish(b"once", Dualcast_Sender="anna", Nats_Msg_Id=order)
    await publish(b"twice", Dualcast_Sender="anna", Nats_Msg_Id=order)
    await client.publish(f"{prefix}.volatile.room", b"anna", headers={"Dualcast-Event": "typing"})
    await client.flush()
    input()
    await publish(b"", Dualcast_Finish="1")
    await client.close()


asyncio.run(main(*sys.argv[1:]))
