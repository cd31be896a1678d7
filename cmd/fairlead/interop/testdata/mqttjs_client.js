// Plays MQTT clients with MQTT.js, on orders that come as JSON lines.
//
// Orders: connect, subscribe, publish, disconnect, drop; each names its client.
// Reports: connected, subscribed, published, message, closed, failed.
'use strict'
const fs = require('node:fs')
const readline = require('node:readline')
const mqtt = require('mqtt')

const clients = new Map()

function report (client, event, more) {
  process.stdout.write(JSON.stringify({ client, event, ...more }) + '\n')
}

function connect (name, order) {
  const v5 = order.version === 5
  const scheme = { tcp: 'mqtt', tls: 'mqtts', ws: 'ws', wss: 'wss' }[order.transport]
  const url = `${scheme}://${order.host}:${order.port}${order.path || ''}`
  const options = {
    protocolVersion: order.version,
    protocolId: order.version === 3 ? 'MQIsdp' : 'MQTT',
    clientId: order.client_id,
    clean: order.clean,
    reconnectPeriod: 0,
    connectTimeout: 20000,
    keepalive: 60
  }
  if (order.ca) options.ca = fs.readFileSync(order.ca)
  if (v5 && !order.clean) options.properties = { sessionExpiryInterval: 300 }
  if (order.will) options.will = { ...order.will, payload: Buffer.from(order.will.payload, 'base64') }
  const c = mqtt.connect(url, options)
  clients.set(name, c)
  c.on('connect', ack => report(name, 'connected', { session_present: ack.sessionPresent }))
  c.on('message', (topic, payload, packet) => report(name, 'message', {
    topic, payload: payload.toString('base64'), qos: packet.qos, retain: packet.retain
  }))
  c.on('error', e => report(name, 'failed', { error: e.message }))
  c.on('close', () => report(name, 'closed'))
}

function subscribe (name, order) {
  clients.get(name).subscribe(order.topic, { qos: order.qos }, (e, granted) => {
    if (e) report(name, 'failed', { error: `subscribe: ${e.message}` })
    else report(name, 'subscribed', { granted: granted.map(g => g.qos) })
  })
}

function publish (name, order) {
  const payload = Buffer.from(order.payload, 'base64')
  clients.get(name).publish(order.topic, payload, { qos: order.qos, retain: order.retain }, e => {
    if (e) report(name, 'failed', { error: `publish: ${e.message}` })
    else report(name, 'published')
  })
}

// drop breaks the network connection without a DISCONNECT.
function drop (name) {
  clients.get(name).stream.destroy()
}

const doing = { connect, subscribe, publish, drop, disconnect: name => clients.get(name).end() }

const lines = readline.createInterface({ input: process.stdin })
lines.on('line', line => {
  const order = JSON.parse(line)
  try {
    doing[order.do](order.client, order)
  } catch (e) {
    report(order.client, 'failed', { error: `${order.do}: ${e.message}` })
  }
})
lines.on('close', () => process.exit(0))
