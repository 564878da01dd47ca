-- Calls `handle` with each key and its own of the arguments behind the time, which are so many for each key. Gives what
-- it gives, or '!' and the error, which is that key's alone.
local function each(count, handle)
  local replies = {}
  for number, key in ipairs(KEYS) do
    local from = 2 + (number - 1) * count
    local is_done, reply = pcall(handle, key, unpack(ARGV, from, from + count - 1))
    if not is_done then
      reply = '!' .. (type(reply) == 'table' and reply.err or tostring(reply))
    end
    replies[number] = reply
  end
  return replies
end
