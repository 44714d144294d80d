"""Plays Autobahn's cases (kosoku) against a WebSocket server: python websocket.py ADDRESS plain|tls|http2 [CASES…].

kosoku speaks plain HTTP/1.1; for the other two a bridge of ours takes its connections and carries them on over TLS,
or as extended CONNECT (RFC 8441) on one HTTP/2 connection over TLS. Prints one line a case."""

import asyncio
import base64
import hashlib
import os
import ssl
import sys

import kosoku
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import ConnectionTerminated, DataReceived, RemoteSettingsChanged, ResponseReceived, StreamEnded, StreamReset, WindowUpdated
from h2.settings import SettingCodes


def tls(protocol):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols([protocol])
    return context


async def copy(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
    except OSError:
        pass


def over_tls(host, port):
    context = tls("http/1.1")

    async def bridge(reader, writer):
        their_reader, their_writer = await asyncio.open_connection(host, port, ssl=context)
        up = asyncio.create_task(copy(reader, their_writer))
        # TLS has no half-closed connections here: the server's end is the end.
        await copy(their_reader, writer)
        up.cancel()
        their_writer.close()
        writer.close()

    return bridge


class Tunnels(asyncio.Protocol):
    """One HTTP/2 connection; each bridged connection is a stream of it."""

    def __init__(self):
        self.h2 = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
        self.offered = asyncio.get_running_loop().create_future()
        self.answers, self.writers, self.more_window = {}, {}, asyncio.Event()

    def connection_made(self, transport):
        self.transport = transport
        assert transport.get_extra_info("ssl_object").selected_alpn_protocol() == "h2"
        self.h2.initiate_connection()
        self.flush()

    def flush(self):
        self.transport.write(self.h2.data_to_send())

    def data_received(self, data):
        for event in self.h2.receive_data(data):
            stream = getattr(event, "stream_id", None)
            if isinstance(event, RemoteSettingsChanged) and not self.offered.done():
                changed = event.changed_settings.get(SettingCodes.ENABLE_CONNECT_PROTOCOL)
                self.offered.set_result(changed is not None and changed.new_value == 1)
            elif isinstance(event, ResponseReceived):
                self.answers[stream].set_result(dict(event.headers))
            elif isinstance(event, DataReceived):
                self.writers[stream].write(event.data)
                self.h2.acknowledge_received_data(event.flow_controlled_length, stream)
            elif isinstance(event, StreamEnded):
                self.writers[stream].write_eof()
            elif isinstance(event, StreamReset):
                self.writers[stream].transport.abort()
            elif isinstance(event, ConnectionTerminated):
                self.transport.close()
            if isinstance(event, (WindowUpdated, RemoteSettingsChanged, StreamReset, StreamEnded)):
                self.more_window.set()
        self.flush()

    def connection_lost(self, _):
        for writer in self.writers.values():
            writer.transport.abort()

    async def send(self, stream, data):
        while data:
            room = min(self.h2.local_flow_control_window(stream), self.h2.max_outbound_frame_size)
            if room == 0:
                self.more_window.clear()
                await self.more_window.wait()
                continue
            self.h2.send_data(stream, data[:room])
            self.flush()
            data = data[room:]

    async def bridge(self, reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        path = head[0].split(" ")[1]
        fields = [tuple(line.split(": ", 1)) for line in head[1:-2]]
        fields = [(name.lower(), value) for name, value in fields]
        key = dict(fields)["sec-websocket-key"]
        kept = [field for field in fields if field[0] in ("sec-websocket-version", "sec-websocket-extensions")]
        stream = self.h2.get_next_available_stream_id()
        self.answers[stream], self.writers[stream] = asyncio.get_running_loop().create_future(), writer
        pseudo = [(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "https"), (":path", path)]
        self.h2.send_headers(stream, [*pseudo, (":authority", dict(fields)["host"]), *kept])
        # What comes back at once has to wait for the head that is written below; nothing else runs in between.
        self.flush()
        answer = await self.answers[stream]
        assert answer[":status"] == "200", answer
        accept = base64.b64encode(hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest())
        lines = [f"{name}: {value}" for name, value in answer.items() if name == "sec-websocket-extensions"]
        lines += ["Upgrade: websocket", "Connection: Upgrade", f"Sec-WebSocket-Accept: {accept.decode()}"]
        writer.write(("\r\n".join(["HTTP/1.1 101 Switching Protocols", *lines]) + "\r\n\r\n").encode())
        try:
            while data := await reader.read(65536):
                await self.send(stream, data)
            self.h2.end_stream(stream)
        except Exception:
            # The other side has ended or reset the stream, or our client its connection.
            try:
                self.h2.reset_stream(stream, 8)
            except Exception:
                pass
        self.flush()


async def main():
    host, port = sys.argv[1].split(":")
    way, cases = sys.argv[2], sys.argv[3:]
    address = sys.argv[1]
    if way != "plain":
        if way == "tls":
            bridge = over_tls(host, int(port))
        else:
            loop = asyncio.get_running_loop()
            _, tunnels = await loop.create_connection(Tunnels, host, int(port), ssl=tls("h2"))
            assert await tunnels.offered, "extended CONNECT is not offered"
            bridge = tunnels.bridge
        server = await asyncio.start_server(bridge, "127.0.0.1", 0, limit=1 << 20)
        address = "127.0.0.1:%d" % server.sockets[0].getsockname()[1]
    try:
        results = await kosoku.run_fuzzingclient(f"ws://{address}", cases=cases or None, concurrency=4)
    except kosoku.FailureError as error:
        results = error.results
    for result in results:
        print(result.case_id, result.behavior.value, result.behavior_close.value, result.remote_close_code)


asyncio.run(main())
# The suite's native threads have been seen to crash the interpreter while it takes itself down.
sys.stdout.flush()
os._exit(0)
