-- The one listener of the live stream among all workers: its lease, and its batches.
-- A batch and the cursor behind it are written together and only under the lease, so that what is read again after a
-- crash was never handed on, and a listener that has lost its lease without knowing hands nothing on.
-- KEYS: lease, cursor, stream of tasks
-- ARGV: "take", token, lease in ms
--   or  "leave", token
--   or  "commit", token, lease in ms, cursor, seconds to keep it, tasks (JSON)...
-- Returns 1 when the lease is the caller's, else 0 (and nothing was written).
local op, token = ARGV[1], ARGV[2]
local holder = redis.call('GET', KEYS[1])

if op == 'take' and not holder then
  redis.call('SET', KEYS[1], token, 'PX', ARGV[3])
  return 1
end
if holder ~= token then return 0 end
if op == 'leave' then return redis.call('DEL', KEYS[1]) end

redis.call('PEXPIRE', KEYS[1], ARGV[3])
if op == 'commit' then
  redis.call('SET', KEYS[2], ARGV[4], 'EX', ARGV[5])
  for i = 6, #ARGV do redis.call('XADD', KEYS[3], '*', 'task', ARGV[i]) end
end
return 1
