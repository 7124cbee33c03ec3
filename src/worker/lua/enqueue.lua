-- Put a task into the queue unless its id is known already: a producer that is not sure may simply try again.
-- KEYS: the result record, the stream, the sorted set of delayed tasks.
-- ARGV: record (JSON), seconds to keep it, task (JSON), due time (epoch seconds, '' = now), delayed member.
-- Returns: the record that was there, or nil when the task was accepted.
local known = redis.call('GET', KEYS[1])
if known then return known end
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
if ARGV[4] ~= '' then
  redis.call('ZADD', KEYS[3], ARGV[4], ARGV[5])
else
  redis.call('XADD', KEYS[2], '*', 'task', ARGV[3])
end
return false
