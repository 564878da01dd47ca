-- The time in milliseconds since 1970: the first argument, or this server's own where that is 0.
local call = redis.call
local now = tonumber(ARGV[1])
if now == 0 then
  local time = call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end
