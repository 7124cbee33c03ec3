-- Who is the first of several tasks with one dedupKey?
-- KEYS: one key per task.  ARGV: seconds to remember, then one task id per key.
-- Returns: per task the id of the first: its own when it is.
local out = {}
for i = 1, #KEYS do
  local first = redis.call('GET', KEYS[i])
  if not first then
    redis.call('SET', KEYS[i], ARGV[i + 1], 'EX', ARGV[1])
    first = ARGV[i + 1]
  end
  out[i] = first
end
return out
