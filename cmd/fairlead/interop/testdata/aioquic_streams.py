"""Plays the multi-stream mode over aioquic, a QUIC that is not ours: HOST PORT CA."""

import asyncio
import ssl
import struct
import sys

from aioquic.asyncio import QuicConnectionProtocol, connect
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import ConnectionTerminated, StopSendingReceived, StreamDataReceived, StreamReset


def text(s):
    b = s.encode()
    return struct.pack("!H", len(b)) + b


def packet(first, body):
    n, length = len(body), b""
    while True:
        n, low = n >> 7, n & 127
        length += bytes([low | (128 if n else 0)])
        if not n:
            return bytes([first]) + length + body


def publish(topic, payload, packet_id):
    return packet(0x32, text(topic) + struct.pack("!H", packet_id) + b"\0" + payload)


CONNECT = packet(0x10, text("MQTT") + bytes([5, 2, 0, 0, 0]) + text("aioquic"))


class Client(QuicConnectionProtocol):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.got, self.ended, self.stopped = {}, set(), set()
        self.gone = False
        self.news = asyncio.Event()

    def quic_event_received(self, event):
        if isinstance(event, StreamDataReceived):
            self.got[event.stream_id] = self.got.get(event.stream_id, b"") + event.data
            if event.end_stream:
                self.ended.add(event.stream_id)
        elif isinstance(event, StreamReset):
            self.ended.add(event.stream_id)
        elif isinstance(event, StopSendingReceived):
            self.stopped.add(event.stream_id)
        elif isinstance(event, ConnectionTerminated):
            self.gone = True
        self.news.set()

    def say(self, stream, data, end=False):
        self._quic.send_stream_data(stream, data, end)
        self.transmit()

    async def until(self, what, condition):
        async def wait():
            while not condition():
                self.news.clear()
                await self.news.wait()

        try:
            await asyncio.wait_for(wait(), 20)
        except asyncio.TimeoutError:
            sys.exit(f"{what}: got {({k: v[:60] for k, v in self.got.items()})}, ended {self.ended}, stopped {self.stopped}")

    async def hears(self, what, stream, want):
        await self.until(what, lambda: len(self.got.get(stream, b"")) >= len(want))
        if self.got[stream] != want:
            sys.exit(f"{what}: {self.got[stream][:60]!r}, want {want[:60]!r}")
        self.got[stream] = b""


async def play(host, port, ca):
    cfg = QuicConfiguration(is_client=True, alpn_protocols=["mqtt"], server_name="localhost")
    cfg.load_verify_locations(ca)
    cfg.verify_mode = ssl.CERT_REQUIRED
    async with connect(host, port, configuration=cfg, create_protocol=Client) as c:
        # A data stream may be there before CONNACK.
        c.say(0, CONNECT[:1])
        c.say(4, packet(0x82, struct.pack("!H", 1) + b"\0" + text("a") + b"\1"))
        c.say(0, CONNECT[1:])
        await c.until("CONNACK", lambda: c.got.get(0, b"")[:1] == b"\x20" and len(c.got[0]) == 2 + c.got[0][1])
        assert c.got[0][3] == 0, c.got[0]
        c.got[0] = b""
        await c.hears("SUBACK", 4, packet(0x90, b"\0\1\0\1"))
        # The begin of a large message on one stream, and all the others go on.
        large = publish("b", b"x" * 300_000, 2)
        c.say(8, large[:100_000])
        for i in range(20):
            c.say(0, b"\xc0\0")
            await c.hears("PINGRESP", 0, b"\xd0\0")
            c.say(12, publish("a", b"1", 3))
            await c.hears("PUBACK", 12, packet(0x40, b"\0\3"))
            await c.until("the delivery", lambda: len(c.got[4]) == 9)
            assert c.got[4][:5] == b"\x32\7" + text("a") and c.got[4][7:] == b"\0" + b"1", c.got[4]
            c.say(4, packet(0x40, c.got[4][5:7]))
            c.got[4] = b""
        c.say(8, large[100_000:], end=True)
        await c.hears("PUBACK of the large one", 8, packet(0x40, b"\0\2\x10"))
        await c.until("the end of a stream that we ended", lambda: 8 in c.ended)
        # What does not belong on a data stream ends that stream.
        c.say(16, b"\xc0\0")
        await c.until("the refusal of a stream", lambda: 16 in c.stopped and 16 in c.ended)
        # One that is broken off leaves the session alone, its subscription as well.
        c._quic.reset_stream(4, 7)
        c._quic.stop_stream(4, 7)
        c.transmit()
        await c.until("the end of a stream that we broke off", lambda: 4 in c.ended)
        c.say(12, publish("a", b"2", 4))
        await c.hears("PUBACK", 12, packet(0x40, b"\0\4"))
        await c.until("the delivery by the control stream", lambda: len(c.got[0]) == 9)
        c.say(0, packet(0x40, c.got[0][5:7]) + b"\xe0\0")
        await c.until("the end", lambda: c.gone or 0 in c.ended)
    print("ok")


asyncio.run(play(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
