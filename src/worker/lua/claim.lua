-- Claim up to `free` entries in one round trip: each stream's quota first, then what is left by urgency.
-- KEYS: the streams, most urgent first.  ARGV: group, consumer, free, one quota per stream.
-- Returns: {index of the stream (from 1), entry id, fields} per entry.
local group, consumer, free = ARGV[1], ARGV[2], tonumber(ARGV[3])
local out = {}

local function take(index, count)
  if count <= 0 then return end
  local reply = redis.call('XREADGROUP', 'GROUP', group, consumer, 'COUNT', count, 'STREAMS', KEYS[index], '>')
  if not reply then return end
  for _, entry in ipairs(reply[1][2]) do
    out[#out + 1] = {index, entry[1], entry[2]}
    free = free - 1
  end
end

for index = 1, #KEYS do take(index, math.min(tonumber(ARGV[3 + index]), free)) end
for index = 1, #KEYS do take(index, free) end
return out
