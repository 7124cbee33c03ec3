-- One janitor at a time. The lock's value is "token|who"; tokens only grow, whatever became of the keys.
-- KEYS: the lock, the last token given.
-- ARGV: what to do, then for
--   acquire: who, life of the lock in ms, highest token known elsewhere. Returns {1, token, ""} or {0, ms left, value}.
--   renew:   value, life in ms. Returns {1} when the lock has this value still, else {0}.
--   release: value. The same; the lock is gone then.
local what = ARGV[1]
local held = redis.call('GET', KEYS[1])
if what == 'acquire' then
  if held then return {0, redis.call('PTTL', KEYS[1]), held} end
  local last = math.max(tonumber(redis.call('GET', KEYS[2]) or '0') or 0, tonumber(ARGV[4]))
  local token = string.format('%.0f', last + 1)
  redis.call('SET', KEYS[2], token)
  redis.call('SET', KEYS[1], token .. '|' .. ARGV[2], 'PX', ARGV[3])
  return {1, tonumber(token), ''}
end
if held ~= ARGV[2] then return {0} end
if what == 'renew' then redis.call('PEXPIRE', KEYS[1], ARGV[3]) else redis.call('DEL', KEYS[1]) end
return {1}
