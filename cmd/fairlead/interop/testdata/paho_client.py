"""Plays MQTT clients with paho-mqtt, on orders that come as JSON lines.

Orders: connect, subscribe, publish, disconnect, drop; each names its client.
Reports: connected, subscribed, published, message, closed, failed.
"""
import base64
import json
import os
import socket
import ssl
import sys
import threading

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

clients = {}
writing = threading.Lock()


def report(name, event, **more):
    with writing:
        sys.stdout.write(json.dumps({"client": name, "event": event, **more}) + "\n")
        sys.stdout.flush()


def failed(code):
    return code.is_failure if hasattr(code, "is_failure") else code != 0


def connect(name, order):
    v5 = order["version"] == 5
    over_ws = order["transport"] in ("ws", "wss")
    transport = "websockets" if over_ws else order["transport"] if order["transport"] == "unix" else "tcp"
    how = {} if v5 else {"clean_session": order["clean"]}
    c = mqtt.Client(
        mqtt.CallbackAPIVersion.VERSION2,
        client_id=order["client_id"],
        protocol=mqtt.MQTTProtocolVersion(order["version"]),
        transport=transport,
        reconnect_on_failure=False,
        **how,
    )
    c.max_queued_messages_set(0)
    if over_ws:
        c.ws_set_options(path=order["path"])
    if order["transport"] in ("tls", "wss"):
        c.tls_set(ca_certs=order["ca"], cert_reqs=ssl.CERT_REQUIRED)
    will = order.get("will")
    if will:
        c.will_set(will["topic"], base64.b64decode(will["payload"]), will["qos"], will["retain"])
    c.on_connect = lambda c, u, flags, code, props: (
        report(name, "failed", error=f"CONNACK: {code}")
        if failed(code)
        else report(name, "connected", session_present=bool(flags.session_present))
    )
    c.on_subscribe = lambda c, u, mid, codes, props: report(name, "subscribed", granted=[k.value for k in codes])
    c.on_publish = lambda c, u, mid, code, props: report(name, "published")
    c.on_disconnect = lambda c, u, flags, code, props: report(name, "closed")
    c.on_message = lambda c, u, m: report(
        name,
        "message",
        topic=m.topic,
        payload=base64.b64encode(m.payload).decode(),
        qos=m.qos,
        retain=bool(m.retain),
    )
    clients[name] = c
    more = {}
    if v5:
        more["clean_start"] = order["clean"]
        if not order["clean"]:
            more["properties"] = Properties(PacketTypes.CONNECT)
            more["properties"].SessionExpiryInterval = 300
    if transport == "unix":
        c.connect(order["path"], 1, keepalive=60, **more)
    else:
        c.connect(order["host"], order["port"], keepalive=60, **more)
    c.loop_start()


def subscribe(name, order):
    c = clients[name]
    # A list of one makes paho report SUBACK the same way in all versions.
    if c.protocol == mqtt.MQTTv5:
        c.subscribe([(order["topic"], SubscribeOptions(qos=order["qos"]))])
    else:
        c.subscribe([(order["topic"], order["qos"])])


def publish(name, order):
    payload = base64.b64decode(order["payload"])
    clients[name].publish(order["topic"], payload, order["qos"], order["retain"])


def disconnect(name, order):
    clients[name].disconnect()


def drop(name, order):
    """Breaks the network connection without a DISCONNECT."""
    fd = os.dup(clients[name].socket().fileno())
    with socket.socket(fileno=fd) as s:
        s.shutdown(socket.SHUT_RDWR)


doing = {"connect": connect, "subscribe": subscribe, "publish": publish, "disconnect": disconnect, "drop": drop}


def main():
    for line in sys.stdin:
        order = json.loads(line)
        name = order["client"]
        try:
            doing[order["do"]](name, order)
        except Exception as e:
            report(name, "failed", error=f"{order['do']}: {type(e).__name__}: {e}")
    os._exit(0)


main()
