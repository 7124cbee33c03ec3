-- Prolong the leases of entries that are still ours.
-- ARGV: group, consumer, then per entry: stream, entry id.
-- Returns: 1 per entry still ours, 0 per entry that somebody else holds or has finished.
local group, consumer = ARGV[1], ARGV[2]
local out = {}
for at = 3, #ARGV, 2 do
  local pending = redis.call('XPENDING', ARGV[at], group, ARGV[at + 1], ARGV[at + 1], 1)[1]
  if pending and pending[2] == consumer then
    redis.call('XCLAIM', ARGV[at], group, consumer, 0, ARGV[at + 1], 'JUSTID')
    out[#out + 1] = 1
  else
    out[#out + 1] = 0
  end
end
return out
