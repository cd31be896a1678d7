-- The tables in which gateways keep their own state (sessions, queues, retained messages)
-- in MySQL and MariaDB: read and written by Fairlead only, unlike those of schema.sql.

-- Who may write, for each namespace: the one whose token stands here.
create table if not exists fairlead_claim (
  namespace varbinary(64) not null primary key,
  token varbinary(64) not null,
  who varchar(255) not null,
  claimed timestamp not null default current_timestamp
) engine=InnoDB default charset=utf8mb4;

-- name is the key where it has up to 1,000 bytes; otherwise it begins like the key and
-- ends with its SHA-256, because an index holds no more than 3,072 bytes, and long_key is
-- the key. A value longer than 512 KiB stands in fairlead_chunk, because the server takes
-- no more than max_allowed_packet at once: chunks is in how many rows there.
create table if not exists fairlead_state (
  namespace varbinary(64) not null,
  part varbinary(32) not null,
  name varbinary(1001) not null,
  long_key mediumblob,
  chunks int not null,
  value mediumblob not null,
  primary key (namespace, part, name)
) engine=InnoDB row_format=dynamic;

create table if not exists fairlead_chunk (
  namespace varbinary(64) not null,
  part varbinary(32) not null,
  name varbinary(1001) not null,
  chunk int not null,
  value mediumblob not null,
  primary key (namespace, part, name, chunk)
) engine=InnoDB row_format=dynamic;
