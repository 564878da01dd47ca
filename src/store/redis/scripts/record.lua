-- A record of a transaction is written, unless there is one: '1', or '0'. Callback, further fields and the end of its
-- delay in milliseconds may be empty.
--
-- What is held back is in pb:delayed by the end of its delay, and behind what has the same one by a number.
local function create(key, payload, priority, expires_at, queues, callback, further, due)
  local known = tonumber(call('HGET', key, 'x'))
  if known and known * 1000 > now then
    return '0'
  end
  if known then
    -- Not without need: a server without memory refuses a script's writes only until it has done one that needs none.
    call('DEL', key)
  end
  local fields = {'p', payload, 'y', priority, 'x', expires_at, 'q', queues}
  local function add(name, value)
    if value ~= '' then
      fields[#fields + 1] = name
      fields[#fields + 1] = value
    end
  end
  add('c', callback)
  add('f', further)
  if due ~= '' then
    local id = string.match(key, '{(.*)}')
    local member = string.format('%016.0f', call('INCR', 'pb:delayed:n')) .. id
    call('ZADD', 'pb:delayed', due, member)
    add('d', due)
    add('m', member)
  end
  call('HSET', key, unpack(fields))
  call('EXPIREAT', key, expires_at)
  return '1'
end
