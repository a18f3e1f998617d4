"""Opens a WebSocket over HTTP/2 (RFC 8441) with h2 and wsproto, and says in JSON what became of it.

    python tests/browser/http2_client.py HOST PORT CHANNEL

It prints `open` once it has the welcome, then every message as it came, and leaves with a goodbye after the first that isn't
Dualcast's own.
"""

import json
import socket
import sys
from contextlib import suppress

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, RemoteSettingsChanged, ResponseReceived, StreamEnded
from h2.exceptions import StreamClosedError
from h2.settings import SettingCodes
from wsproto.connection import Connection, ConnectionType
from wsproto.events import CloseConnection, TextMessage


def main():
    host, port, channel = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    http = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
    ws = Connection(ConnectionType.CLIENT)
    with socket.create_connection((host, port), timeout=20) as connection:
        http.initiate_connection()
        connection.sendall(http.data_to_send())
        stream = None
        for event in events(http, connection):
            if isinstance(event, RemoteSettingsChanged) and stream is None:
                offered = event.changed_settings.get(SettingCodes.ENABLE_CONNECT_PROTOCOL)
                if offered is None or offered.new_value != 1:
                    sys.exit("the server speaks no extended CONNECT")
                stream = http.get_next_available_stream_id()
                http.send_headers(stream, head(host, port, channel))
            elif isinstance(event, ResponseReceived):
                status = dict(event.headers)[":status"]
                if status != "200":
                    sys.exit(f"refused: {status}")
            elif isinstance(event, DataReceived):
                # All that has come is read before any of it is heard: the stream may be over by now.
                with suppress(StreamClosedError):
                    http.acknowledge_received_data(event.flow_controlled_length, stream)
                if not event.data:
                    continue
                ws.receive_data(event.data)
                for said in ws.events():
                    hear(said, ws, http, stream)
            elif isinstance(event, StreamEnded):
                print("over", flush=True)
                return
            connection.sendall(http.data_to_send())


def head(host, port, channel):
    return [
        (":method", "CONNECT"),
        (":protocol", "websocket"),
        (":scheme", "http"),
        (":path", f"/ws?channels={channel}"),
        (":authority", f"{host}:{port}"),
        ("sec-websocket-version", "13"),
    ]


def hear(said, ws, http, stream):
    if isinstance(said, TextMessage):
        message = json.loads(said.data)
        if message.get("control") == "welcome":
            print("open", flush=True)
        elif "control" not in message:
            print(json.dumps(message), flush=True)
            http.send_data(stream, ws.send(CloseConnection(code=1000)))
    elif isinstance(said, CloseConnection):
        # The server ends the stream.
        print(f"closed {said.code}", flush=True)


def events(http, connection):
    while data := connection.recv(65_536):
        yield from http.receive_data(data)


main()
