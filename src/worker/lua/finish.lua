-- Acknowledge executions and publish their outputs, all or nothing per task.
-- Outputs are written only by the one that still finds the entry pending: a second execution of the same entry
-- (after a lost lease) changes nothing.
-- KEYS: the dead letter stream.
-- ARGV: group, most dead letters, time now (ISO), worker id, number of tasks,
--       then per task: stream, entry id, task id, number of commands, and per command: number of words, words...
-- Two commands are the script's own:
-- COUNT_DOWN key = DECR of a counter that exists and is above zero.
-- TOP_AUTHORS ranking companion most ttl (author score ms member)... = a sorted set with one member per author, the one
--   of the highest score and among equals the latest, and at most so many; the companion, a hash, knows whose is whose.
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
