-- Take over entries whose lease has run out, a few at a time so that several workers share them.
-- KEYS: one stream.  ARGV: group, consumer, lease in ms, count.
-- Returns: {entry id, fields, deliveries before this one} per entry.
local stream, group, consumer, lease = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
local out = {}
for _, pending in ipairs(redis.call('XPENDING', stream, group, 'IDLE', lease, '-', '+', ARGV[4])) do
  local id = pending[1]
  local entry = redis.call('XCLAIM', stream, group, consumer, lease, id)[1]
  if entry and entry[2] then
    out[#out + 1] = {id, entry[2], pending[4]}
  else
    redis.call('XACK', stream, group, id) -- the entry itself was deleted by somebody: nothing is left to do
  end
end
return out
