-- Put dead letters back onto their streams: each leaves the dead letters and enters its stream at once, or is not there
-- any more and nothing happens. So none is lost, and two who replay one letter replay it once.
-- KEYS: the dead letter stream, then per letter: its stream, the result record of its task.
-- ARGV: seconds to keep a record, then per letter: entry id, record (JSON, '' = its task has no id),
--       '1' when the letter is its task's own whatever the record says.
-- Returns: per letter {new entry id, 1 when the task keeps its id}, or nil for one that is gone.
local dead, ttl = KEYS[1], ARGV[1]

-- The letter of a task is written together with its record "failed". A letter beside any other record is of a part of
-- that task or of an earlier one of its id: its replay is a task of its own, which must not overwrite that record.
local function is_anothers(record)
  local raw = redis.pcall('GET', record)
  if type(raw) ~= 'string' then return false end
  local fine, known = pcall(cjson.decode, raw)
  return fine and type(known) == 'table' and known.status ~= 'failed'
end

local out = {}
for index = 1, (#ARGV - 1) / 3 do
  local id, record, own = ARGV[index * 3 - 1], ARGV[index * 3], ARGV[index * 3 + 1]
  local stream, key = KEYS[index * 2], KEYS[index * 2 + 1]
  local entry = redis.call('XRANGE', dead, id, id)[1]
  if entry then
    local fields = {}
    for i = 1, #entry[2], 2 do fields[entry[2][i]] = entry[2][i + 1] end
    local keeps_id = record ~= '' and (own == '1' or not is_anothers(key))
    -- "replayed": its death has been counted (the batch of an envelope), its second end must not be.
    local words = {'task', fields.task or '', 'replayed', '1'}
    for _, name in ipairs({'id', 'door'}) do
      if (fields[name] or '') ~= '' and (name ~= 'id' or keeps_id) then
        words[#words + 1] = name
        words[#words + 1] = fields[name]
      end
    end
    local added = redis.call('XADD', stream, '*', unpack(words))
    redis.call('XDEL', dead, id)
    if keeps_id then redis.call('SET', key, record, 'EX', ttl) end
    out[index] = {added, keeps_id and 1 or 0}
  else
    out[index] = false
  end
end
return out
