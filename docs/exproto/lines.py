"""A handler for Fairlead: text over TCP, one command a line.

    hello ID [USER PASSWORD]    answered by: welcome ID
    sub FILTER                  answered by: sub success; then msg TOPIC TEXT
    pub TOPIC TEXT              answered by: pub success, once the message is kept
    bye

Anything wrong is answered by "bye REASON". Usage: lines.py ADDRESS, such as
127.0.0.1:9000. The modules handler_pb2 and handler_pb2_grpc are made by

    python -m grpc_tools.protoc -I DIR --python_out=. --grpc_python_out=. DIR/handler.proto
"""

import queue
import sys
from concurrent import futures

import grpc

import handler_pb2 as pb
import handler_pb2_grpc

WINDOW = 64 * 1024  # bytes of one client that may be under way
LONGEST = 4096  # of a line


class Client:
    """One connection: its unfinished line and what waits for a result."""

    def __init__(self):
        self.rest = b""
        self.asked = {}  # what a token was for
        self.token = 0
        self.untaken = 0  # bytes of events that were not given back yet


class Stream:
    """One stream of Fairlead with all of its clients."""

    def __init__(self):
        self.clients = {}
        self.out = queue.SimpleQueue()

    def commands(self):
        yield pb.FromHandler(hello=pb.Hello(window=WINDOW))
        while (batch := self.out.get()) is not None:
            yield pb.FromHandler(commands=batch)

    def read(self, requests):
        try:
            for batch in requests:
                commands = []
                for event in batch.events:
                    commands += self.event(event)
                if commands:
                    self.out.put(commands)
        finally:
            self.out.put(None)

    def event(self, ev):
        what = ev.WhichOneof("what")
        if what == "opened":
            self.clients[ev.conn] = Client()
        client = self.clients.get(ev.conn)
        if client is None:
            return
        if what == "closed":
            del self.clients[ev.conn]
            return
        if what == "received":
            client.rest += ev.received
            *lines, client.rest = client.rest.split(b"\n")
            for line in lines:
                yield from self.line(ev.conn, client, line.decode(errors="replace").strip())
            if len(client.rest) > LONGEST:
                yield from self.end(ev.conn, "packet_too_large")
        elif what == "result":
            yield from self.result(ev.conn, client, ev.result)
        elif what == "message":
            m = ev.message
            yield self.say(ev.conn, b"msg " + m.topic.encode() + b" " + m.payload)
            if m.packet_id:
                yield pb.Command(conn=ev.conn, ack=pb.Ack(packet_id=m.packet_id))
        elif what == "fault":
            print("fault:", ev.fault.reason, ev.fault.detail, file=sys.stderr)
        client.untaken += ev.ByteSize()
        if client.untaken > WINDOW // 2:  # Fairlead may send so much more
            yield pb.Command(conn=ev.conn, taken=client.untaken)
            client.untaken = 0

    def line(self, conn, client, line):
        verb, _, rest = line.partition(" ")
        client.token += 1
        client.asked[client.token] = verb
        command = pb.Command(conn=conn, token=client.token)
        if len(line) > LONGEST:
            yield from self.end(conn, "packet_too_large")
        elif verb == "hello" and rest:
            name, *login = rest.split(" ", 2)
            command.authenticate.client_id = name
            command.authenticate.clean_start = True
            if len(login) == 2:
                command.authenticate.username = login[0]
                command.authenticate.password = login[1].encode()
            yield command
        elif verb == "sub" and rest:
            command.subscribe.filters.add(filter=rest, qos=1)
            yield command
        elif verb == "pub" and rest:
            topic, _, text = rest.partition(" ")
            command.publish.topic = topic
            command.publish.payload = text.encode()
            command.publish.qos = 1
            yield command
        elif verb == "bye":
            yield pb.Command(conn=conn, close=pb.Close())
        else:
            yield from self.end(conn, "protocol_error")

    def result(self, conn, client, r):
        verb = client.asked.pop(r.token, "")
        if not r.ok:
            yield from self.end(conn, r.reason)
        elif verb == "hello":
            yield self.say(conn, b"welcome " + r.authenticated.client_id.encode())
            yield pb.Command(conn=conn, goodbye=b"bye, the gateway ends\n")
        else:
            yield self.say(conn, verb.encode() + b" success")

    def say(self, conn, line):
        return pb.Command(conn=conn, send=line + b"\n")

    def end(self, conn, reason):
        yield self.say(conn, b"bye " + reason.encode())
        yield pb.Command(conn=conn, close=pb.Close())


class Lines(handler_pb2_grpc.HandlerServicer):
    def __init__(self, readers):
        self.readers = readers

    def Serve(self, requests, context):
        stream = Stream()
        self.readers.submit(stream.read, requests)
        return stream.commands()


def main(address):
    # A stream takes a thread here and one that reads: 16 streams at most.
    server = grpc.server(futures.ThreadPoolExecutor(16))
    handler_pb2_grpc.add_HandlerServicer_to_server(Lines(futures.ThreadPoolExecutor(16)), server)
    port = server.add_insecure_port(address)
    server.start()
    print("port", port, flush=True)
    server.wait_for_termination()


if __name__ == "__main__":
    main(sys.argv[1])
