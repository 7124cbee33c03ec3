-- Put claimed tasks that cannot run now into lanes: out of the way of the tasks behind them, in order among themselves.
-- KEYS: per priority: index of lanes.  ARGV: group, lane key prefix,
--       then per entry: stream, entry id, index of its priority, lane, task id, first entry id, attempts used.
-- Returns: how many were parked. An entry that is no longer ours is left alone.
local group, prefix = ARGV[1], ARGV[2]
local parked = 0
for at = 3, #ARGV, 7 do
  local stream, id, priority, lane = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
  local entry = redis.call('XRANGE', stream, id, id)[1]
  if entry and redis.call('XACK', stream, group, id) == 1 then
    local fields = {'id', ARGV[at + 4], 'first', ARGV[at + 5], 'attempts', ARGV[at + 6]}
    for i = 1, #entry[2], 2 do
      local name = entry[2][i]
      if name ~= 'id' and name ~= 'first' and name ~= 'attempts' then
        fields[#fields + 1] = name
        fields[#fields + 1] = entry[2][i + 1]
      end
    end
    redis.call('XDEL', stream, id)
    redis.call('RPUSH', prefix .. priority .. ':' .. lane, cmsgpack.pack(fields))
    redis.call('ZADD', KEYS[tonumber(priority)], 'NX', 0, lane)
    parked = parked + 1
  end
end
return parked
