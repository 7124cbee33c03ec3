-- Which of these posts repeat others of their brand? All are written down, or nothing is.
-- KEYS: per generation of the window, in turns: the hash of decisions, then one hash per band.
-- ARGV: JSON {keys: hashes per generation, ttl: seconds, bucket: most ids of a bucket, most: decisions of a generation,
--   posts: [{id, at: generation it is written to (from 1), bands: [..], seen: [ids], value}]}.
-- A value begins with "=" (an original, its features follow) or ">" (a repeat, the original's hash follows).
--   known: [ids whose values the caller has].
-- Returns {"again", JSON {unseen: {post number: [ids]}, values: {id: value}, decided: {post number: value}}} when there are
--   originals that a post has not been compared with, or decisions that the caller does not know: nothing is written then.
--   Else {"done", value per post}: what was decided first stays, whoever decides later.
local input = cjson.decode(ARGV[1])
local posts, width = input.posts, input.keys
local decided, unknown, unseen, values, waiting = {}, {}, {}, {}, false
local known_ids = {}
for _, id in ipairs(input.known) do known_ids[id] = true end
local ids = {}
for i, post in ipairs(posts) do ids[i] = post.id end

for first = 1, #KEYS, width do
  if redis.call('EXISTS', KEYS[first]) == 1 then
    local known = redis.call('HMGET', KEYS[first], unpack(ids))
    for i = 1, #posts do decided[i] = decided[i] or known[i] end
  end
end
for i, post in ipairs(posts) do
  -- 41: the mark and the hash; features and time of an original are its own affair.
  if decided[i] and string.sub(decided[i], 1, 41) ~= string.sub(post.value, 1, 41) then
    unknown[tostring(i)] = decided[i]
    waiting = true
  end
end

for first = 1, #KEYS, width do
  if redis.call('EXISTS', KEYS[first]) == 1 then
    local met = {}
    for band = 1, width - 1 do
      local fields = {}
      for i, post in ipairs(posts) do fields[i] = post.bands[band] end
      local buckets = redis.call('HMGET', KEYS[first + band], unpack(fields))
      for i = 1, #posts do
        if buckets[i] and not decided[i] then
          met[i] = met[i] or {}
          for id in string.gmatch(buckets[i], '[^,]+') do met[i][id] = true end
        end
      end
    end
    for i, found in pairs(met) do
      for _, id in ipairs(posts[i].seen) do found[id] = nil end
      for id in pairs(found) do
        -- One alike text after another meets the same originals: each is handed over once.
        local value = known_ids[id] or values[id]
        if not value then
          value = redis.call('HGET', KEYS[first], id)
          values[id] = value or nil
        end
        if value then
          local name = tostring(i)
          unseen[name] = unseen[name] or {}
          table.insert(unseen[name], id)
          waiting = true
        end
      end
    end
  end
end
if waiting then return {'again', cjson.encode({unseen = unseen, values = values, decided = unknown})} end

local touched = {}
for i, post in ipairs(posts) do
  local decisions = KEYS[(post.at - 1) * width + 1]
  if not decided[i] then
    decided[i] = post.value
    if redis.call('HLEN', decisions) < input.most then
      redis.call('HSET', decisions, post.id, post.value)
      touched[post.at] = true
      if string.sub(post.value, 1, 1) == '=' then
        for band = 1, width - 1 do
          local key = KEYS[(post.at - 1) * width + 1 + band]
          local bucket = redis.call('HGET', key, post.bands[band])
          bucket = bucket and (bucket .. ',' .. post.id) or post.id
          local _, commas = string.gsub(bucket, ',', '')
          if commas >= input.bucket then bucket = string.gsub(bucket, '^[^,]*,', '', 1) end
          redis.call('HSET', key, post.bands[band], bucket)
        end
      end
    end
  end
end
for at in pairs(touched) do
  for key = (at - 1) * width + 1, at * width do redis.call('EXPIRE', KEYS[key], input.ttl) end
end
return {'done', unpack(decided)}
