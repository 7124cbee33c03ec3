-- Give items of the platform's lists that nobody has claimed yet back to the head of their lists, in their order.
-- Goes from the newest entry to the oldest: pushing each to the head leaves the oldest first, also over several calls.
-- KEYS: one stream.
-- ARGV: group, upper end of this call ('+' or '(id'), id up to which nothing is left to do ('0-0'),
--       most entries to look at, bytes after which to stop.
-- Returns: items given back, names of keys that are no lists (their items stay), newest entry looked at ('' if none),
--          upper end of the next call ('' when this was the last).
local stream, group, upper, most, most_bytes = KEYS[1], ARGV[1], ARGV[2], tonumber(ARGV[4]), tonumber(ARGV[5])
local PAGE = 50 -- entries held in Lua's memory at a time: an item may have megabytes

local function after(a, b)
  local a_ms, a_seq = string.match(a, '^(%d+)-(%d+)$')
  local b_ms, b_seq = string.match(b, '^(%d+)-(%d+)$')
  if a_ms ~= b_ms then return tonumber(a_ms) > tonumber(b_ms) end
  return tonumber(a_seq) > tonumber(b_seq)
end

local function field(fields, name)
  for i = 1, #fields, 2 do
    if fields[i] == name then return fields[i + 1] end
  end
end

local kind = redis.call('TYPE', stream).ok
if kind == 'none' then return {0, {}, '', ''} end

-- Delivered is what the group has read. Without a group nothing was ever delivered.
local delivered, grouped = '0-0', false
for _, info in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
  if field(info, 'name') == group then delivered, grouped = field(info, 'last-delivered-id'), true end
end
-- A group that was set back (XGROUP SETID) has deliveries above that mark: those are asked for one by one.
local highest = grouped and redis.call('XPENDING', stream, group)[3]
local mixed = highest and after(highest, delivered)
local lower = '(' .. (after(ARGV[3], delivered) and ARGV[3] or delivered)

local moved, bytes, newest, refused = 0, 0, '', {}

local function give_back(id, item, list)
  local reply = redis.pcall('LPUSH', list, item)
  if type(reply) == 'number' then
    redis.call('XDEL', stream, id)
    moved = moved + 1
  elseif string.find(reply.err, 'WRONGTYPE', 1, true) then
    refused[list] = true
  else
    return reply -- e.g. out of memory: this item is where it was, those before it have moved
  end
end

local looked = 0
while looked < most and bytes < most_bytes do
  local page = redis.call('XREVRANGE', stream, upper, lower, 'COUNT', math.min(PAGE, most - looked))
  for _, entry in ipairs(page) do
    local id, fields = entry[1], entry[2]
    local item, list = field(fields, 'task'), field(fields, 'door')
    if newest == '' then newest = id end
    if item then bytes = bytes + #item end
    if item and list and not (mixed and #redis.call('XPENDING', stream, group, id, id, 1) > 0) then
      local problem = give_back(id, item, list)
      if problem then return problem end
    end
  end
  looked = looked + #page
  if #page < PAGE and looked < most then upper = '' break end
  upper = '(' .. page[#page][1]
end

local names = {}
for list in pairs(refused) do names[#names + 1] = list end
return {moved, names, newest, upper}
