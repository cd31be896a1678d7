-- The tables of data rules in MySQL and MariaDB. Names and columns are those of EMQ X;
-- wider than theirs are payloads (longblob), topics (text), client ids (700 letters), mid
-- (bigint) and times (milliseconds). Texts are equal when their bytes are. Columns of our
-- own: topic_hash (made by the database; indexes hold no long topics),
-- mqtt_msg.expires and mqtt_retain.expires (MQTT 5's Message Expiry Interval),
-- mqtt_acked.subscribed.

create table if not exists mqtt_client (
  id bigint unsigned not null auto_increment primary key,
  clientid varchar(700) not null,
  state varchar(3) not null default '0',
  node varchar(255),
  online_at datetime(3),
  offline_at datetime(3),
  created timestamp not null default current_timestamp,
  unique key mqtt_client_key (clientid)
) engine=InnoDB default charset=utf8mb4 collate /*!80017 utf8mb4_0900_bin */ /*M!100200 utf8mb4_nopad_bin */;

create table if not exists mqtt_sub (
  id bigint unsigned not null auto_increment primary key,
  clientid varchar(700) not null,
  topic text not null,
  qos tinyint not null default 0,
  created timestamp not null default current_timestamp,
  topic_hash binary(32) as (unhex(sha2(topic, 256))) stored,
  unique key mqtt_sub_key (clientid, topic_hash)
) engine=InnoDB default charset=utf8mb4 collate /*!80017 utf8mb4_0900_bin */ /*M!100200 utf8mb4_nopad_bin */;

create table if not exists mqtt_msg (
  id bigint unsigned not null auto_increment primary key,
  msgid varchar(100),
  topic text not null,
  sender text,
  node varchar(255),
  qos tinyint not null default 0,
  retain tinyint not null default 0,
  payload longblob,
  arrived datetime(3) not null default current_timestamp(3),
  expires datetime(3),
  topic_hash binary(32) as (unhex(sha2(topic, 256))) stored,
  unique key mqtt_msg_msgid_key (msgid),
  key mqtt_msg_topic_index (topic_hash, id),
  key mqtt_msg_prefix_index (topic(128))
) engine=InnoDB default charset=utf8mb4 collate /*!80017 utf8mb4_0900_bin */ /*M!100200 utf8mb4_nopad_bin */;

create table if not exists mqtt_retain (
  id bigint unsigned not null auto_increment primary key,
  topic text not null,
  msgid varchar(100),
  sender text,
  node varchar(255),
  qos tinyint not null default 0,
  payload longblob,
  arrived datetime(3) not null default current_timestamp(3),
  expires datetime(3),
  topic_hash binary(32) as (unhex(sha2(topic, 256))) stored,
  unique key mqtt_retain_key (topic_hash),
  key mqtt_retain_prefix_index (topic(128))
) engine=InnoDB default charset=utf8mb4 collate /*!80017 utf8mb4_0900_bin */ /*M!100200 utf8mb4_nopad_bin */;

-- mid is the id of the last message of mqtt_msg that the client has read: of the topic,
-- or, of a Topic Filter with wildcards, the last one when it was subscribed. subscribed
-- is 0 where the topic was only read by such a filter.
create table if not exists mqtt_acked (
  id bigint unsigned not null auto_increment primary key,
  clientid varchar(700) not null,
  topic text not null,
  mid bigint unsigned not null default 0,
  created timestamp not null default current_timestamp,
  subscribed tinyint not null default 1,
  topic_hash binary(32) as (unhex(sha2(topic, 256))) stored,
  unique key mqtt_acked_key (clientid, topic_hash)
) engine=InnoDB default charset=utf8mb4 collate /*!80017 utf8mb4_0900_bin */ /*M!100200 utf8mb4_nopad_bin */;
