-- Take failure records out of a brand's list and put what had failed onto the stream; each leaves and enters at once.
-- KEYS: the list, the stream.  ARGV: the door the items belong to, then per record: the record, what it wraps.
-- Returns: how many were taken; a record that is not in the list any more is somebody else's.
local taken = 0
for at = 2, #ARGV, 2 do
  if redis.call('LREM', KEYS[1], 1, ARGV[at]) == 1 then
    redis.call('XADD', KEYS[2], '*', 'task', ARGV[at + 1], 'door', ARGV[1])
    taken = taken + 1
  end
end
return taken
