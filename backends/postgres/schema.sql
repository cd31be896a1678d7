-- The tables of data rules in PostgreSQL. Names and columns are those of EMQ X; wider
-- than theirs are payloads (bytes), topics and client ids (any length), mid (bigint) and
-- times (with a time zone). Columns of our own: mqtt_msg.expires and mqtt_retain.expires
-- (MQTT 5's Message Expiry Interval), mqtt_acked.subscribed.

create table if not exists mqtt_client (
  id bigserial primary key,
  clientid text not null,
  state integer not null default 0,
  node text,
  online_at timestamptz,
  offline_at timestamptz,
  created timestamptz not null default now()
);
create unique index if not exists mqtt_client_key on mqtt_client (clientid);

create table if not exists mqtt_sub (
  id bigserial primary key,
  clientid text not null,
  topic text not null,
  qos integer not null default 0,
  created timestamptz not null default now()
);
create unique index if not exists mqtt_sub_key on mqtt_sub (clientid, topic);

create table if not exists mqtt_msg (
  id bigserial primary key,
  msgid text collate "C",
  sender text,
  topic text not null,
  qos integer not null default 0,
  retain integer not null default 0,
  payload bytea,
  arrived timestamptz not null default now(),
  expires timestamptz
);
-- A message that comes twice stands here once.
create unique index if not exists mqtt_msg_msgid_key on mqtt_msg (msgid);
-- The first 250 letters: an index holds no more than 2,700 bytes of a topic.
create index if not exists mqtt_msg_topic_index on mqtt_msg (left(topic, 250) collate "C", id);

create table if not exists mqtt_retain (
  id bigserial primary key,
  topic text not null,
  msgid text,
  sender text,
  qos integer not null default 0,
  payload bytea,
  arrived timestamptz not null default now(),
  expires timestamptz
);
create unique index if not exists mqtt_retain_key on mqtt_retain (md5(topic));
create index if not exists mqtt_retain_topic_index on mqtt_retain (left(topic, 250) collate "C");

-- mid is the id of the last message of mqtt_msg that the client has read: of the topic,
-- or, of a Topic Filter with wildcards, the last one when it was subscribed. subscribed
-- is 0 where the topic was only read by such a filter.
create table if not exists mqtt_acked (
  id bigserial primary key,
  clientid text not null,
  topic text not null,
  mid bigint not null default 0,
  created timestamptz not null default now(),
  subscribed smallint not null default 1
);
create unique index if not exists mqtt_acked_key on mqtt_acked (clientid, md5(topic));
