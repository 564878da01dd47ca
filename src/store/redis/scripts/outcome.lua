-- Notes what became of a push whose key was claimed. Behind the time in ARGV, for each key: the id of the push, and 'D':
-- it is done; 'U': it is not done, and whoever repeats it may go on with it; 'N': nothing of it is there, the key is
-- free. Gives '1', or '0' where the key is not that push's any more.
local function note(key, id, outcome)
  if call('HGET', key, 'i') ~= id then
    return '0'
  elseif outcome == 'D' then
    call('HDEL', key, 'b')
  elseif outcome == 'N' then
    call('DEL', key)
  elseif call('HEXISTS', key, 'b') == 1 then
    call('HSET', key, 'b', '0')
  end
  return '1'
end

local replies = {}
for number, key in ipairs(KEYS) do
  local is_done, reply = pcall(note, key, unpack(ARGV, 2 * number, 2 * number + 1))
  if not is_done then
    reply = '!' .. (type(reply) == 'table' and reply.err or tostring(reply))
  end
  replies[number] = reply
end
return replies
