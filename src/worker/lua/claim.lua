-- Claim up to `free` entries in one round trip: critical ones first, then each priority's share, then by urgency.
-- A task comes from its stream (in order of arrival) or from a lane, where tasks of a brand or type wait that has
-- had its share; lanes take turns, the one longest not served first. While lanes wait they get half of each share.
-- KEYS: per priority, most urgent first: stream, stream of unparked tasks, index of lanes.
-- ARGV: group, consumer, free, now (ms), lane key prefix, lanes to serve (1 or 0), one quota per priority,
--       then the names of lanes that have their share already.
-- Returns: {index of the stream's priority (from 1), unparked (1 or 0), entry id, fields, lane} per entry.
local group, consumer, free, now, prefix = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4], ARGV[5]
local lanes_open = ARGV[6] == '1'
local priorities = #KEYS / 3
local full = {}
for at = 7 + priorities, #ARGV do full[ARGV[at]] = true end
local out = {}

local function from_stream(priority, count)
  if count <= 0 then return end
  local stream = KEYS[priority * 3 - 2]
  local reply = redis.call('XREADGROUP', 'GROUP', group, consumer, 'COUNT', count, 'STREAMS', stream, '>')
  if not reply then return end
  for _, entry in ipairs(reply[1][2]) do
    out[#out + 1] = {priority, 0, entry[1], entry[2], ''}
    free = free - 1
  end
end

local function unpark(priority, lane)
  local stream, index, key = KEYS[priority * 3 - 1], KEYS[priority * 3], prefix .. priority .. ':' .. lane
  local packed = redis.call('LPOP', key)
  if not packed then
    redis.call('ZREM', index, lane)
    return false
  end
  local fields = cmsgpack.unpack(packed)
  local id = redis.call('XADD', stream, '*', unpack(fields))
  redis.call('XCLAIM', stream, group, consumer, 0, id, 'RETRYCOUNT', 1, 'FORCE', 'JUSTID')
  redis.call('ZADD', index, now, lane)
  out[#out + 1] = {priority, 1, id, fields, lane}
  free = free - 1
  return true
end

local function from_lanes(priority, count)
  if not lanes_open or count <= 0 then return end
  local lanes = redis.call('ZRANGE', KEYS[priority * 3], 0, 199)
  local served = true
  while served and count > 0 do
    served = false
    for _, lane in ipairs(lanes) do
      if count > 0 and not full[lane] and unpark(priority, lane) then
        count = count - 1
        served = true
      end
    end
  end
end

local function serve(priority, count)
  local before = free
  from_lanes(priority, math.ceil(math.min(count, free) / 2))
  from_stream(priority, math.min(count - (before - free), free))
  from_lanes(priority, math.min(count - (before - free), free))
end

for priority = 1, priorities do serve(priority, tonumber(ARGV[6 + priority])) end
for priority = 1, priorities do serve(priority, free) end
return out
