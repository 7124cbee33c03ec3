-- Give items of the platform's lists that wait in a lane back to the head of their lists, in their order.
-- Goes from the newest (the tail) to the oldest: pushing each to the head leaves the oldest first, also over several
-- calls. Tasks of other origin stay where they are in the lane.
-- KEYS: the lane, the index of lanes.
-- ARGV: name of the lane in the index, tasks at the tail that earlier calls have left there, most tasks to look at,
--       bytes after which to stop.
-- Returns: items given back, names of keys that are no lists (their items stay), tasks left at the tail so far,
--          1 when another call has to go on.
local lane, index, name = KEYS[1], KEYS[2], ARGV[1]
local left, most, most_bytes = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local PAGE = 50 -- tasks held in Lua's memory at a time: an item may have megabytes
local moved, bytes, looked, more, refused, problem = 0, 0, 0, 0, {}, nil

local function read(packed)
  local fine, fields = pcall(cmsgpack.unpack, packed)
  local values = {}
  if fine and type(fields) == 'table' then
    for i = 1, #fields, 2 do values[fields[i]] = fields[i + 1] end
  end
  return values.task, values.door
end

local function gives(item, list)
  if not item or not list or problem then return false end
  local reply = redis.pcall('LPUSH', list, item)
  if type(reply) == 'number' then return true end
  if string.find(reply.err, 'WRONGTYPE', 1, true) then refused[list] = true else problem = reply end
  return false
end

repeat
  local page = redis.call('LRANGE', lane, -(left + PAGE), -(left + 1))
  local gone = 0
  for at = #page, 1, -1 do
    bytes = bytes + #page[at]
    if gives(read(page[at])) then
      redis.call('LSET', lane, -(left + gone + 1), '') -- no packed task is empty: removed below, all in one go
      gone = gone + 1
    else
      left = left + 1
    end
  end
  -- The marks stand among the tasks that were left, in the last entries of the lane.
  if gone > 0 then redis.call('LREM', lane, -gone, '') end
  moved, looked = moved + gone, looked + #page
  more = #page == PAGE and 1 or 0
until problem or more == 0 or looked >= most or bytes >= most_bytes

if redis.call('EXISTS', lane) == 0 then redis.call('ZREM', index, name) end
if problem then return problem end -- e.g. out of memory: this item is where it was, those before it have moved
local names = {}
for list in pairs(refused) do names[#names + 1] = list end
return {moved, names, left, more}
