-- One day's budget for model calls, shared by all workers. Amounts are whole nano-dollars: up to 2^53 Lua counts exactly.
-- KEYS: sums of the day (hash: spent, reserved), amounts of holds not settled yet (hash by id),
--       ends of holds that still count as reserved (sorted set, ms)
-- ARGV: "reserve", now ms, id, amount, limit, ms until the hold ends, ms to keep the keys
--   or  "settle", now ms, id, actual amount or "" (unknown: what was reserved), ms to keep the keys
--   or  "state", now ms
-- Returns {1 or 0 (refused, or settled before), spent, reserved}.
local sums, amounts, ends = KEYS[1], KEYS[2], KEYS[3]
local now = tonumber(ARGV[2])

-- A worker that has died settles nothing: what it held is free again. The amount stays known, for a settlement that
-- comes late is still money spent.
for _, id in ipairs(redis.call('ZRANGEBYSCORE', ends, '-inf', now)) do
  local amount = redis.call('HGET', amounts, id)
  if amount then redis.call('HINCRBY', sums, 'reserved', -tonumber(amount)) end
  redis.call('ZREM', ends, id)
end

local function answer(done)
  local spent = tonumber(redis.call('HGET', sums, 'spent') or '0')
  local reserved = tonumber(redis.call('HGET', sums, 'reserved') or '0')
  return {done, spent, reserved}
end

local function keep(ms)
  for _, key in ipairs(KEYS) do redis.call('PEXPIRE', key, ms) end
end

if ARGV[1] == 'reserve' then
  local id, amount, limit = ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
  local state = answer(1)
  if state[2] + state[3] + amount > limit then return {0, state[2], state[3]} end
  redis.call('HSET', amounts, id, ARGV[4])
  redis.call('ZADD', ends, now + tonumber(ARGV[6]), id)
  redis.call('HINCRBY', sums, 'reserved', ARGV[4])
  keep(ARGV[7])
  return answer(1)
end

if ARGV[1] == 'settle' then
  local id, actual = ARGV[3], ARGV[4]
  local amount = redis.call('HGET', amounts, id)
  if not amount then return answer(0) end
  if actual == '' then actual = amount end
  redis.call('HDEL', amounts, id)
  if redis.call('ZREM', ends, id) == 1 then redis.call('HINCRBY', sums, 'reserved', -tonumber(amount)) end
  redis.call('HINCRBY', sums, 'spent', actual)
  keep(ARGV[5])
  return answer(1)
end

return answer(1)
