-- The tables in which gateways keep their own state (sessions, queues, retained messages):
-- read and written by Fairlead only, unlike those of schema.sql.

-- Who may write, for each namespace: the one whose token stands here.
create table if not exists fairlead_claim (
  namespace text collate "C" primary key,
  token text not null,
  who text not null,
  claimed timestamptz not null default now()
);

-- key is whole where it has up to 1,000 bytes; otherwise it begins like the key and ends
-- with its SHA-256, because an index holds no more than 2,700 bytes, and long_key is the
-- key. Rows come and go by the thousand: vacuum often.
create table if not exists fairlead_state (
  namespace text collate "C" not null,
  part bytea not null,
  key bytea not null,
  long_key bytea,
  value bytea not null,
  primary key (namespace, part, key)
) with (autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);
