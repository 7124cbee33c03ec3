-- Requests and tokens of one provider per minute, shared by all workers: two generic cell rate meters
-- (ITU-T I.371), each one number: the moment until which what was admitted reaches ("theoretical arrival time").
-- A call is told how long to wait and has its turn from then on; nobody polls.
-- KEYS: meter of requests, meter of tokens
-- ARGV: "take", us per request, requests at once, us per token, tokens at once, tokens, longest wait in us
--   or  "settle", us per token, tokens to add (negative: give back)
-- A meter with 0 us per unit does not limit. Returns {1, wait us} or {0, wait us that would be needed}.
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])

local function reaches(key)
  return math.max(now, tonumber(redis.call('GET', key) or '0'))
end

local function keep(key, reach)
  redis.call('SET', key, string.format('%.0f', reach), 'PX', math.ceil((reach - now) / 1000) + 120000)
end

if ARGV[1] == 'settle' then
  local known = tonumber(redis.call('GET', KEYS[2]) or '0')
  if known > 0 then
    local reach = known + tonumber(ARGV[2]) * tonumber(ARGV[3])
    if reach > now then keep(KEYS[2], reach) else redis.call('DEL', KEYS[2]) end
  end
  return {1, 0}
end

local request_us, requests = tonumber(ARGV[2]), tonumber(ARGV[3])
local token_us, burst, tokens = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local by_requests, by_tokens = reaches(KEYS[1]), reaches(KEYS[2])
local wait = 0
if request_us > 0 then wait = math.max(wait, by_requests - (requests - 1) * request_us - now) end
-- More tokens than may come at once wait until the meter is empty, or they would wait for ever.
if token_us > 0 then wait = math.max(wait, by_tokens - math.max(0, burst - tokens) * token_us - now) end
wait = math.ceil(wait)
if wait > tonumber(ARGV[7]) then return {0, wait} end
if request_us > 0 then keep(KEYS[1], by_requests + request_us) end
if token_us > 0 then keep(KEYS[2], by_tokens + tokens * token_us) end
return {1, wait}
