-- Read dead letters without carrying whole tasks along: a task may have megabytes, a page of them must not stop Redis.
-- KEYS: the dead letter stream.
-- ARGV: XRANGE or XREVRANGE, where to begin, where to end, most letters, bytes kept of each task, most bytes to read.
-- Returns: {{entry id, bytes of its task, fields} per letter, 1 when there are more}.
local read, from, to = ARGV[1], ARGV[2], ARGV[3]
local most, cut, budget = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local out, step = {}, 1
while #out < most and budget > 0 do
  local page = redis.call(read, KEYS[1], from, to, 'COUNT', math.min(step, most - #out))
  if #page == 0 then return {out, 0} end
  local bytes = 0
  for _, entry in ipairs(page) do
    local fields, size = entry[2], 0
    for i = 2, #fields, 2 do
      bytes = bytes + #fields[i]
      if fields[i - 1] == 'task' then
        size = #fields[i]
        fields[i] = string.sub(fields[i], 1, cut)
      end
    end
    out[#out + 1] = {entry[1], size, fields}
  end
  budget = budget - bytes
  from = '(' .. page[#page][1]
  step = bytes > 262144 and 1 or math.min(step * 4, 64) -- large tasks one by one, small ones by the dozen
end
return {out, #redis.call(read, KEYS[1], from, to, 'COUNT', 1)}
