-- Notes in records what became of messages. Behind the time in ARGV, for each key: the field of the queue, and what is to
-- be noted. Gives '1' where it is noted. A record that is gone stays so, and what is noted stays noted.

local function has_queue(key, field)
  local queues = ' ' .. (call('HGET', key, 'q') or '') .. ' '
  return string.find(queues, ' ' .. string.sub(field, 3) .. ' ', 1, true) ~= nil
end

local function note(key, field, new)
  local before, expires_at, held_as = unpack(call('HMGET', key, field, 'x', 'm'))
  if before or not expires_at then
    return false
  elseif new == 'H' then
    -- Delivered before it arrives, if it is held back.
    if not held_as or not has_queue(key, field) then
      return false
    end
    new = 'D'
  end
  call('HSET', key, field, new)
  return true
end

return each(2, function(key, field, new) return note(key, field, new) and '1' or '0' end)
