-- One Write of a Table: all of it, or 0 when somebody else has claimed.
-- KEYS: the claim, the index of parts, the hashes of parts.
-- ARGV: the token, how long keys of parts are before the part's name; then for each part
-- whether it is cleared (1), how many fields go, how often two arguments are a field and
-- its value, and these.
if redis.call('HGET', KEYS[1], 'token') ~= ARGV[1] then return 0 end

-- Whatever can be refused is tried before anything is changed: keys of another type here,
-- want of memory or of replicas, or a server that takes no writes, by HINCRBY.
redis.call('ZCARD', KEYS[2])
local before = {}
for i = 3, #KEYS do before[i] = redis.call('HLEN', KEYS[i]) end
redis.call('HINCRBY', KEYS[1], 'writes', 1)

local at = 3
local function fields(command, key, n)
  local last = at + n
  while at < last do -- unpack has a bound
    local to = math.min(at + 1000, last)
    redis.call(command, key, unpack(ARGV, at, to - 1))
    at = to
  end
end

for i = 3, #KEYS do
  local key = KEYS[i]
  local clear, deletes, sets = ARGV[at], tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  at = at + 3
  if clear == '1' then redis.call('UNLINK', key) end
  fields('HDEL', key, deletes)
  fields('HSET', key, 2 * sets)
  local after, part = redis.call('EXISTS', key), string.sub(key, ARGV[2] + 1)
  if after == 0 and before[i] > 0 then
    redis.call('ZREM', KEYS[2], part)
  elseif after == 1 and before[i] == 0 then
    redis.call('ZADD', KEYS[2], 0, part)
  end
end
return 1
