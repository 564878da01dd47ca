-- Writes records of transactions, one for each key. Behind the time in ARGV, for each record: payload, priority, second
-- of its end, queues, callback, further fields, milliseconds of its delay's end. Gives '1' for each, or '0' where there
-- is a record already.
local replies, at = {}, 2
for number, key in ipairs(KEYS) do
  local is_done, reply = pcall(create, key, unpack(ARGV, at, at + 6))
  if not is_done then
    reply = '!' .. (type(reply) == 'table' and reply.err or tostring(reply))
  end
  replies[number] = reply
  at = at + 7
end
return replies
