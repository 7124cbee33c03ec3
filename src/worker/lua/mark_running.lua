-- Say of executions that they are under way, if they still are ours: a worker that was suspended beyond its leases
-- goes on in the middle of tasks that others have finished, and their records must stay.
-- ARGV: group, consumer, then per task: stream, entry id, key of the record, record, seconds to keep it.
-- Returns: the number of records written.
local group, consumer = ARGV[1], ARGV[2]
local written = 0
for at = 3, #ARGV, 5 do
  local pending = redis.call('XPENDING', ARGV[at], group, ARGV[at + 1], ARGV[at + 1], 1)[1]
  if pending and pending[2] == consumer then
    redis.call('SET', ARGV[at + 2], ARGV[at + 3], 'EX', ARGV[at + 4])
    written = written + 1
  end
end
return written
