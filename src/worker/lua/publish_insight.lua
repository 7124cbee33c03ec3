-- Publish what follows from one version of a brand's state, once.
-- KEYS: the brand's last published version.
-- ARGV: version, seconds to remember it, number of commands, then per command: number of words, words...
-- One command is the script's own: REPLACE_BY_ID key id json = LPUSH after removing the entry that has this id.
-- Returns: nil when this version, or a newer one, was published before; else what Redis refused ("" = nothing), one
-- line each. A refused command (a neighbour's key of another type) ends what is done to its key, and to no other.
local function replace_by_id(key, id, json)
  local entries = redis.pcall('LRANGE', key, 0, -1)
  if entries.err then return entries end
  for _, entry in ipairs(entries) do
    local fine, document = pcall(cjson.decode, entry)
    if fine and type(document) == 'table' and document.id == id then redis.call('LREM', key, 0, entry) end
  end
  return redis.call('LPUSH', key, json)
end

local last = redis.call('GET', KEYS[1])
if last and tonumber(last) >= tonumber(ARGV[1]) then return nil end
local refused, left_alone = {}, {}
local at = 4
for _ = 1, tonumber(ARGV[3]) do
  local words = tonumber(ARGV[at])
  local reply
  if left_alone[ARGV[at + 2]] then
    reply = nil
  elseif ARGV[at + 1] == 'REPLACE_BY_ID' then
    reply = replace_by_id(ARGV[at + 2], ARGV[at + 3], ARGV[at + 4])
  else
    reply = redis.pcall(unpack(ARGV, at + 1, at + words))
  end
  if type(reply) == 'table' and reply.err then
    left_alone[ARGV[at + 2]] = true
    refused[#refused + 1] = ARGV[at + 1] .. ' ' .. ARGV[at + 2] .. ': ' .. reply.err
  end
  at = at + 1 + words
end
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
return table.concat(refused, '\n')
