-- Give entries back at once, without counting the delivery: any worker's next reclaim takes them.
-- ARGV: group, consumer, then per entry: stream, entry id, deliveries to remember.
-- Returns: how many were given back.
local group, consumer = ARGV[1], ARGV[2]
local released = 0
for at = 3, #ARGV, 3 do
  local pending = redis.call('XPENDING', ARGV[at], group, ARGV[at + 1], ARGV[at + 1], 1)[1]
  if pending and pending[2] == consumer then
    redis.call('XCLAIM', ARGV[at], group, 'released', 0, ARGV[at + 1],
      'IDLE', 86400000, 'RETRYCOUNT', ARGV[at + 2], 'JUSTID')
    released = released + 1
  end
end
return released
