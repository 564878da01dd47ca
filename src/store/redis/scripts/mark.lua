-- Notes in records what became of messages. Behind the time in ARGV, for each key: the field of the queue, what is to
-- be noted, and the lease that it is about or nothing. Gives '1' where it is noted. A record that is gone stays so.
--
-- Notes come over several connections, so not always in the order of what they tell: each says what it may replace.

local function ends_at(lease)
  return math.floor(tonumber(lease) / 1024)
end

local function has_queue(key, field)
  local queues = ' ' .. (call('HGET', key, 'q') or '') .. ' '
  return string.find(queues, ' ' .. string.sub(field, 3) .. ' ', 1, true) ~= nil
end

-- Each gives whether it may be noted where another note is, or none.
local notes = {}

-- Out by a reliable lease.
function notes.B(kind, lease)
  return kind ~= 'D' and not (kind == 'S' and ends_at(lease) > now)
end

-- Delivered.
function notes.D()
  return true
end

-- As good as delivered: the settling of the lease is on its way.
function notes.S(kind, lease, own)
  return kind ~= 'D' and not (kind == 'B' and lease ~= own and ends_at(lease) > now)
end

-- Delivered before it arrives, if it is held back.
function notes.H(kind, _, _, key, field)
  return kind ~= 'D' and kind ~= 'S' and call('HEXISTS', key, 'm') == 1 and has_queue(key, field)
end

local function note(key, field, new, own)
  local before, expires_at = unpack(call('HMGET', key, field, 'x'))
  before = before or ''
  local kind, lease = string.sub(before, 1, 1), string.sub(before, 2)
  if new == 'P' then
    -- Back in its queue, or it has never left it.
    return lease == own and call('HDEL', key, field) == 1
  elseif not notes[new](kind, lease, own, key, field) or not expires_at then
    return false
  end
  call('HSET', key, field, new == 'H' and 'D' or new .. own)
  return true
end

local replies = {}
for number, key in ipairs(KEYS) do
  local is_done, reply = pcall(note, key, unpack(ARGV, 3 * number - 1, 3 * number + 1))
  if is_done then
    replies[number] = reply and '1' or '0'
  else
    replies[number] = '!' .. (type(reply) == 'table' and reply.err or tostring(reply))
  end
end
return replies
