-- Acknowledge executions and publish their outputs, all or nothing per task.
-- Outputs are written only by the one that still finds the entry pending: a second execution of the same entry
-- (after a lost lease) changes nothing.
-- KEYS: the dead letter stream.
-- ARGV: group, most dead letters, time now (ISO), worker id, beginning of the keys of result records, channel of events,
--       number of tasks, then per task: stream, entry id, task id, number of commands, and per command: number of words,
--       words...
-- A task's own record (SET) and event (PUBLISH) come after all else: where an output was refused, they say "failed".
-- Three commands are the script's own:
-- IF_REFUSED word... = a command to run only where an output was refused.
-- COUNT_DOWN key = DECR of a counter that exists and is above zero.
-- TOP_AUTHORS ranking companion most ttl (author score ms member)... = a sorted set with one member per author, the one
--   of the highest score and among equals the latest, and at most so many; the companion, a hash, knows whose is whose.
-- Returns: per task 1 (done), 0 (somebody else has finished it) or the error of the first refused output.
local group, dead_max, now, worker, records, events = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local at = 8
local answers = {}

local function field(fields, name)
  for i = 1, #fields, 2 do
    if fields[i] == name then return fields[i + 1] end
  end
  return ''
end

local function top_authors(at, last)
  local ranking, companion, most, ttl = ARGV[at], ARGV[at + 1], tonumber(ARGV[at + 2]), ARGV[at + 3]
  for _, size in ipairs({redis.pcall('ZCARD', ranking), redis.pcall('HLEN', companion)}) do
    if type(size) == 'table' then return size end
  end
  for i = at + 4, last, 4 do
    local author, score, ms, member = 'a:' .. ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
    local kept, better = redis.call('HGET', companion, author), true
    local kept_ms, kept_member = string.match(kept or '', '^(-?%d+)|(.*)$')
    if kept_member then
      local kept_score = redis.call('ZSCORE', ranking, kept_member)
      if kept_score then
        local new, old = tonumber(score), tonumber(kept_score)
        better = new > old or (new == old and tonumber(ms) > tonumber(kept_ms))
      end
      if better then
        redis.call('ZREM', ranking, kept_member)
        redis.call('HDEL', companion, 'm:' .. redis.sha1hex(kept_member))
      end
    end
    if better then
      redis.call('ZADD', ranking, score, member)
      redis.call('HSET', companion, author, ms .. '|' .. member, 'm:' .. redis.sha1hex(member), author)
    end
  end
  for _ = 1, redis.call('ZCARD', ranking) - most do
    local name = 'm:' .. redis.sha1hex(redis.call('ZPOPMIN', ranking)[1])
    local author = redis.call('HGET', companion, name)
    if author then redis.call('HDEL', companion, author, name) end
  end
  redis.call('EXPIRE', companion, ttl)
  return redis.call('EXPIRE', ranking, ttl)
end

local function run(first, words)
  if ARGV[first] == 'TOP_AUTHORS' then
    local fine, reply = pcall(top_authors, first + 1, first + words - 1)
    if fine then return reply end
    return {err = type(reply) == 'table' and reply.err or tostring(reply)} -- raised, it would end the whole batch
  end
  if ARGV[first] == 'COUNT_DOWN' then
    local left = redis.pcall('GET', ARGV[first + 1])
    if type(left) == 'string' and (tonumber(left) or 0) > 0 then return redis.pcall('DECR', ARGV[first + 1]) end
    return left
  end
  return redis.pcall(unpack(ARGV, first, first + words - 1))
end

local function refusal(command, reply)
  if type(reply) ~= 'table' or not reply.err then return nil end
  return ARGV[command] .. ' ' .. ARGV[command + 1] .. ': ' .. reply.err
end

local function decoded(text)
  local fine, value = pcall(cjson.decode, text or '')
  return fine and type(value) == 'table' and value or {}
end

-- The task is dead, whatever its execution came to: its letter, and its record and event where it was to have them.
local function bury(stream, id, name, problem, told)
  local entry = redis.call('XRANGE', stream, id, id)[1]
  local fields = entry and entry[2] or {}
  local record = decoded(told.record and ARGV[told.record + 2])
  local event = decoded(told.event and ARGV[told.event + 2])
  local reason = {code = 'OUTPUT_FAILED', message = problem, retryable = false}
  redis.call('XADD', KEYS[1], 'MAXLEN', '~', dead_max, '*',
    'task', field(fields, 'task'), 'type', record.type or '', 'brand', type(event.brand) == 'string' and event.brand or '',
    'reason', 'output: ' .. problem, 'error', cjson.encode(reason), 'attempts', record.attempts or 1,
    'at', now, 'worker', worker, 'id', name, 'stream', stream, 'door', field(fields, 'door'))
  if told.record then
    record.id, record.status, record.finishedAt, record.error, record.result = name, 'failed', now, reason, nil
    redis.pcall('SET', ARGV[told.record + 1], cjson.encode(record), 'EX', ARGV[told.record + 4])
    event.id, event.type, event.attempts = name, record.type, record.attempts
    event.brand, event.status, event.finishedAt = event.brand or cjson.null, 'failed', now
    redis.call('PUBLISH', events, cjson.encode(event))
  end
  if told.refused then redis.pcall(unpack(ARGV, told.refused + 1, told.refused_last)) end
end

for task = 1, tonumber(ARGV[7]) do
  local stream, id, name, commands = ARGV[at], ARGV[at + 1], ARGV[at + 2], tonumber(ARGV[at + 3])
  at = at + 4
  local mine = redis.call('XACK', stream, group, id) == 1
  local problem, told = nil, {}
  for _ = 1, commands do
    local words, first = tonumber(ARGV[at]), at + 1
    local command = ARGV[first]
    if command == 'SET' and ARGV[first + 1] == records .. name then
      told.record = first
    elseif command == 'PUBLISH' and ARGV[first + 1] == events then
      told.event = first
    elseif command == 'IF_REFUSED' then
      told.refused, told.refused_last = first, at + words
    elseif mine then
      local reply = run(first, words)
      problem = problem or refusal(first, reply)
    end
    at = at + 1 + words
  end
  if mine and not problem and told.record then
    problem = refusal(told.record, redis.pcall(unpack(ARGV, told.record, told.record + 4)))
  end
  if mine and not problem and told.event then redis.call('PUBLISH', events, ARGV[told.event + 2]) end
  if problem then bury(stream, id, name, problem, told) end
  if mine then redis.call('XDEL', stream, id) end
  answers[task] = problem or (mine and 1 or 0)
end
return answers
