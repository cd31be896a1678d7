-- The documented tables of EMQ X 2.4.3, as somebody may have them, with a row of theirs.
create table mqtt_client (id serial primary key, clientid character varying(100), state integer, node character varying(100), online_at timestamp, offline_at timestamp, created timestamp without time zone, unique (clientid));
create table mqtt_sub (id serial primary key, clientid character varying(100), topic character varying(200), qos integer, created timestamp without time zone, unique (clientid, topic));
create table mqtt_msg (id serial8 primary key, msgid character varying(60), sender character varying(100), topic character varying(200), qos integer, retain integer, payload text, arrived timestamp without time zone);
create table mqtt_retain (id serial primary key, topic character varying(200), msgid character varying(60), sender character varying(100), qos integer, payload text, arrived timestamp without time zone, unique (topic));
create table mqtt_acked (id serial primary key, clientid character varying(100), topic character varying(100), mid integer, created timestamp without time zone, unique (clientid, topic));
insert into mqtt_msg (msgid, sender, topic, qos, retain, payload, arrived) values ('0001f2c7e1a4b3d4', null, 't', 1, 0, 'from the old gateway', now());
insert into mqtt_msg (topic, qos, payload) values ('t', 1, 'of a program');
insert into mqtt_acked (clientid, topic, mid) values ('old', 't', 0);
