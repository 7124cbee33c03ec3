-- Take over entries whose lease has run out, a few at a time so that several workers share them.
-- What was cut short twice may be what kills its worker: it is taken alone, or not at all.
-- KEYS: one stream.  ARGV: group, consumer, lease in ms, count, how many to look at, 1 if one may be taken alone.
-- Returns: {entry id, fields, deliveries before this one} per entry.
local stream, group, consumer, lease, count = KEYS[1], ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local out = {}
for _, pending in ipairs(redis.call('XPENDING', stream, group, 'IDLE', lease, '-', '+', ARGV[5])) do
  local id, past = pending[1], pending[4]
  local alone = past >= 2
  if #out < count and not (alone and (ARGV[6] == '0' or #out > 0)) then
    local entry = redis.call('XCLAIM', stream, group, consumer, lease, id)[1]
    if entry and entry[2] then
      out[#out + 1] = {id, entry[2], past}
      if alone then break end
    else
      redis.call('XACK', stream, group, id) -- the entry itself was deleted by somebody: nothing is left to do
    end
  end
end
return out
