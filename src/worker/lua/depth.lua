-- Sizes and ages of the queue.
-- KEYS: sorted set of delayed tasks, dead letter stream, then per priority: stream, unparked stream, index of lanes.
-- ARGV: group, lane key prefix.
-- Returns: {delayed, dead} and per priority: waiting in the stream, waiting in lanes, in execution, id of the oldest
-- waiting entry ('' = none).
local group, prefix = ARGV[1], ARGV[2]
local out = {{redis.call('ZCARD', KEYS[1]), redis.call('XLEN', KEYS[2])}}

local function pending(stream)
  local reply = redis.pcall('XPENDING', stream, group)
  return reply.err and 0 or reply[1]
end

local function last_delivered(stream)
  local groups = redis.pcall('XINFO', 'GROUPS', stream)
  if groups.err then return '0-0' end
  for _, info in ipairs(groups) do
    local name, last = nil, '0-0'
    for i = 1, #info, 2 do
      if info[i] == 'name' then name = info[i + 1] end
      if info[i] == 'last-delivered-id' then last = info[i + 1] end
    end
    if name == group then return last end
  end
  return '0-0'
end

for index = 3, #KEYS, 3 do
  local stream, unparked, lanes = KEYS[index], KEYS[index + 1], KEYS[index + 2]
  local running = pending(stream)
  local parked = 0
  for _, lane in ipairs(redis.call('ZRANGE', lanes, 0, 999)) do
    parked = parked + redis.call('LLEN', prefix .. ((index) / 3) .. ':' .. lane)
  end
  local oldest = redis.call('XRANGE', stream, '(' .. last_delivered(stream), '+', 'COUNT', 1)[1]
  out[#out + 1] = {redis.call('XLEN', stream) - running, parked, running + pending(unparked), oldest and oldest[1] or ''}
end
return out
