-- Acknowledge executions and publish their outputs, all or nothing per task.
-- Outputs are written only by the one that still finds the entry pending: a second execution of the same entry
-- (after a lost lease) changes nothing.
-- KEYS: the dead letter stream.
-- ARGV: group, most dead letters, time now (ISO), worker id, number of tasks,
--       then per task: stream, entry id, task id, number of commands, and per command: number of words, words...
-- One command is the script's own: COUNT_DOWN key = DECR of a counter that exists and is above zero.
-- Returns: per task 1 (done), 0 (somebody else has finished it) or the error of the first refused output.
local group, dead_max, now, worker = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local at = 6
local answers = {}

local function field(fields, name)
  for i = 1, #fields, 2 do
    if fields[i] == name then return fields[i + 1] end
  end
  return ''
end

local function run(first, words)
  if ARGV[first] == 'COUNT_DOWN' then
    local left = redis.pcall('GET', ARGV[first + 1])
    if type(left) == 'string' and (tonumber(left) or 0) > 0 then return redis.pcall('DECR', ARGV[first + 1]) end
    return left
  end
  return redis.pcall(unpack(ARGV, first, first + words - 1))
end

for task = 1, tonumber(ARGV[5]) do
  local stream, id, name, commands = ARGV[at], ARGV[at + 1], ARGV[at + 2], tonumber(ARGV[at + 3])
  at = at + 4
  local mine = redis.call('XACK', stream, group, id) == 1
  local problem = nil
  for _ = 1, commands do
    local words = tonumber(ARGV[at])
    if mine then
      local reply = run(at + 1, words)
      if type(reply) == 'table' and reply.err and not problem then
        problem = ARGV[at + 1] .. ' ' .. ARGV[at + 2] .. ': ' .. reply.err
      end
    end
    at = at + 1 + words
  end
  if problem then
    local entry = redis.call('XRANGE', stream, id, id)[1]
    local fields = entry and entry[2] or {}
    redis.call('XADD', KEYS[1], 'MAXLEN', '~', dead_max, '*',
      'task', field(fields, 'task'), 'type', '', 'brand', '', 'reason', 'output: ' .. problem,
      'error', cjson.encode({code = 'OUTPUT_FAILED', message = problem, retryable = false}),
      'attempts', '1', 'at', now, 'worker', worker, 'id', name, 'stream', stream, 'door', field(fields, 'door'))
  end
  if mine then redis.call('XDEL', stream, id) end
  answers[task] = problem or (mine and 1 or 0)
end
return answers
