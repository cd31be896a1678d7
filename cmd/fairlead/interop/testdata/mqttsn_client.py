# Plays one MQTT-SN client with a library that others wrote: mqtt-sn-12 or mqttsn.
#
#   mqttsn_client.py LIBRARY HOST PORT CLIENT_ID
#
# Does what the lines on its input say, and answers each with one line:
#   connect | resume | search | will TOPIC QOS TEXT | alive SECONDS
#   publish TOPIC QOS TEXT | retain TOPIC QOS TEXT | subscribe FILTER QOS | unsubscribe FILTER
#   next | sleep SECONDS | wake | bye
# A topic of the form =7 is the predefined id 7. next gives "TOPIC QOS TEXT".
#
# Three faults of the libraries are mended here, each where it shows: see "mend".
import collections
import logging
import os
import queue
import select
import signal
import socket
import struct
import sys

PATIENCE = 60  # seconds for a line; then the program dies, which the test shows
answers = os.fdopen(os.dup(1), "w", buffering=1)
sys.stdout = open(os.devnull, "w")  # the libraries chatter
logging.disable()


class Twelve:
    """mqtt-sn-12: publishes with each QoS, sleeps, searches, has a Will."""

    def __init__(self, host, port, client_id):
        from mqttsn12.client.MqttSnClient import MqttSnClient
        from mqttsn12.packets import RegackPacket

        # mend: 1.0.9 writes numbers with a sign, so that half of the message ids do not fit
        RegackPacket.encode = lambda p: struct.pack(">BBHHB", 7, p.type, p.topic_id, p.message_id, p.return_code)
        self.client_id = client_id
        self.got = collections.deque()
        self.c = MqttSnClient()
        self.c.set_client_id(client_id)
        self.c.set_keep_alive(300)
        self.c.open(host, port)

    def alive(self, seconds):
        self.c.set_keep_alive(int(seconds))

    def will(self, topic, qos, text):
        self.c.set_will(topic, text, int(qos), False)

    def connect(self):
        self.c.set_clean_session(True)
        self.c.send_connect()

    def resume(self):
        self.c.set_clean_session(False)
        self.c.send_connect()

    def search(self):
        self.c.send_search_gateway(1)

    def publish(self, topic, qos, text, retain=False):
        if topic.startswith("="):
            self.c.send_publish_predefined(int(topic[1:]), text.encode(), int(qos), retain)
        else:
            self.c.send_publish(topic, text.encode(), int(qos), retain)

    def retain(self, topic, qos, text):
        self.publish(topic, qos, text, True)

    def subscribe(self, topic, qos):
        if topic.startswith("="):
            self.c.send_subscribe_predefined(int(topic[1:]), int(qos), self)
        else:
            self.c.send_subscribe(topic, int(qos), self)

    def unsubscribe(self, topic):
        self.c.send_unsubscribe(topic)

    def message_arrived(self, m):
        topic = m.get_topic_name() or "=%d" % m.get_topic_id()
        self.got.append("%s %d %s" % (topic, m.get_qos(), m.get_payload().decode()))

    def take(self):
        """Hands one packet to the library, and gives its type."""
        from mqttsn12.MqttSnConstants import MqttSnConstants
        from mqttsn12.packets import PublishPacket

        ready, _, _ = select.select([self.c.datagram_socket], [], [])
        packet = self.c.datagram_socket.recv(65536, socket.MSG_PEEK)
        kind = packet[3] if packet[0] == 1 else packet[1]
        self.c.polling()
        if kind == MqttSnConstants.TYPE_PUBLISH:
            p = PublishPacket()
            p.decode(packet)
            if p.get_qos() == 1:  # mend: 1.0.9 compares it with the flag's bits, and never acknowledges
                self.c.send_puback(p, MqttSnConstants.ACCEPTED)
        return kind

    def next(self):
        while not self.got:
            self.take()
        return self.got.popleft()

    def sleep(self, seconds):
        self.c.send_disconnect(int(seconds))

    def wake(self):
        from mqttsn12.MqttSnConstants import MqttSnConstants
        from mqttsn12.packets import PingReqPacket

        p = PingReqPacket()
        p.client_id = self.client_id  # mend: set_client_id makes bytes of it, which encode refuses
        self.c.send_packet(p.encode())
        while self.take() != MqttSnConstants.TYPE_PINGRESP:
            pass

    def bye(self):
        self.c.send_disconnect()


class RSMB:
    """mqttsn, of the family of IBM's first client: receives QoS 1 and 2 as it should. Its
    DISCONNECT cannot be sent, and it answers no REGISTER."""

    def __init__(self, host, port, client_id):
        from mqttsn.client import Client

        self.got = queue.Queue()
        self.done = queue.Queue()
        self.names = {}
        self.c = Client(client_id.encode(), host, port)
        self.c.register_callback(self)

    def connect(self):
        self.c.connect()

    def publish(self, topic, qos, text):
        number = self.c.register(topic.encode())
        self.c.publish(number, text, int(qos))
        if int(qos) > 0:
            self.done.get()

    def published(self, message_id):
        self.done.put(message_id)

    def subscribe(self, topic, qos):
        code, number = self.c.subscribe(topic, int(qos))
        if code != 0:
            raise RuntimeError("SUBACK with %d" % code)
        self.names[topic] = number

    def message_arrived(self, topic, payload, qos, retained, message_id):
        self.got.put("? %d %s" % (qos, payload.decode()))  # it does not tell the topic
        return True

    def next(self):
        return self.got.get()


def main(library, host, port, client_id):
    player = {"mqtt-sn-12": Twelve, "mqttsn": RSMB}[library](host, int(port), client_id)
    for line in sys.stdin:
        verb, *rest = line.rstrip("\n").split(" ", 3)
        signal.alarm(PATIENCE)
        try:
            answer = getattr(player, verb)(*rest)
            print(answer or "done", file=answers)
        except Exception as e:  # the test shows it
            print("fault:", repr(e), file=answers)
        signal.alarm(0)
    os._exit(0)


main(*sys.argv[1:])
