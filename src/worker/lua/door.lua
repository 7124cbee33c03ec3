-- Take items from the platform's lists into the worker's custody: each leaves its list and enters the stream at once.
-- KEYS: the stream, then the lists.  ARGV: most items per list.
-- Returns: per list how many were taken, -1 where the key is not a list.
local stream, most = KEYS[1], ARGV[1]
local taken = {}
for index = 2, #KEYS do
  local items = redis.pcall('LPOP', KEYS[index], most)
  if type(items) == 'table' and items.err then
    taken[index - 1] = -1
  elseif items then
    for _, item in ipairs(items) do redis.call('XADD', stream, '*', 'task', item, 'door', KEYS[index]) end
    taken[index - 1] = #items
  else
    taken[index - 1] = 0
  end
end
return taken
