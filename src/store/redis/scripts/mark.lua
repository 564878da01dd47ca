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

-- What nothing follows: delivered, or given up.
local is_final = {D = true, E = true}

-- Each gives whether it may be noted where another note is, or none.
local notes = {}

-- Out by a reliable lease.
function notes.B(kind, lease)
  return not is_final[kind] and not (kind == 'S' and ends_at(lease) > now)
end

-- The same, for the last time: dead once the lease has lapsed, so that nobody need note that.
notes.L = notes.B

-- Dead before that lease has lapsed. Where the lease is not noted any more, somebody has put it back into its line since.
function notes.X(kind, lease, own)
  return not is_final[kind] and lease == own
end

-- Delivered.
function notes.D()
  return true
end

-- Given up when it was dead.
function notes.E(kind)
  return kind ~= 'D'
end

-- As good as delivered: the settling of the lease is on its way. A dead one was not this lease's any more, and if it has
-- been put back since and handed out again, that is noted when it is settled.
function notes.S(kind, lease, own)
  local is_held = kind == 'B' and lease ~= own and ends_at(lease) > now
  local is_dead = kind == 'X' or kind == 'L' and (lease ~= own or ends_at(lease) <= now)
  return not is_final[kind] and not is_held and not is_dead
end

-- Delivered before it arrives, if it is held back.
function notes.H(kind, _, _, key, field)
  return not is_final[kind] and kind ~= 'S' and call('HEXISTS', key, 'm') == 1 and has_queue(key, field)
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
