-- Changes a record. Behind the time in ARGV, for payload and callback each '1' and
-- the new one, or '0' and nothing; then 'at' and a second, or 'after' and milliseconds, or '' and nothing. Gives the
-- queues and the second of its end; nothing where there is no such record.
local EXPIRATION_MAX = 2147483647

local key = KEYS[1]
local queues, expires_at, due = unpack(call('HMGET', key, 'q', 'x', 'd'))
expires_at = tonumber(expires_at)
if not expires_at or expires_at * 1000 <= now then
  return false
end
if ARGV[2] == '1' then
  call('HSET', key, 'p', ARGV[3])
end
if ARGV[4] == '1' then
  call('HSET', key, 'c', ARGV[5])
end
if ARGV[6] ~= '' then
  expires_at = tonumber(ARGV[7])
  if ARGV[6] == 'after' then
    expires_at = math.min(math.ceil(((tonumber(due) or now) + expires_at) / 1000), EXPIRATION_MAX)
  end
  call('HSET', key, 'x', expires_at)
  call('EXPIREAT', key, expires_at)
end
return {queues, tostring(expires_at)}
