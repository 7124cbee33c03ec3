-- Move delayed tasks whose time has come onto their streams; one script, so that none is lost or moved twice.
-- KEYS: the sorted set, the dead letter stream, the task streams.  ARGV: most to move, most dead letters, time now (ISO).
-- A member is {"stream": name, "fields": [name, value, ...]}.  Returns: how many were moved.
local delayed, dead = KEYS[1], KEYS[2]
local known = {}
for index = 3, #KEYS do known[KEYS[index]] = true end
local time = redis.call('TIME')
local now = time[1] .. '.' .. string.format('%06d', tonumber(time[2]))
local due = redis.call('ZRANGEBYSCORE', delayed, '-inf', now, 'LIMIT', 0, ARGV[1])
for _, member in ipairs(due) do
  local fine, entry = pcall(cjson.decode, member)
  if fine and type(entry) == 'table' and known[entry.stream] and type(entry.fields) == 'table' and #entry.fields > 0 then
    redis.call('XADD', entry.stream, '*', unpack(entry.fields))
  else
    redis.call('XADD', dead, 'MAXLEN', '~', ARGV[2], '*', 'task', member, 'type', '', 'brand', '',
      'reason', 'delayed: is not an entry of this worker', 'error',
      cjson.encode({code = 'VALIDATION_ERROR', message = 'unknown member of worker:delayed', retryable = false}),
      'attempts', '0', 'at', ARGV[3], 'worker', '')
  end
  redis.call('ZREM', delayed, member)
end
return #due
