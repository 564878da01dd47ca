-- What is done with records.

-- Writes records, one for each key: each a record. Gives '1' for each, or '0' where there is one already. One that is to
-- be held back gets its place among what is.
local function create_one(key)
  local record = argument()
  local expires_at, bytes, priority, held, delay_end, hold, queues, callback, further = unpack_value(RECORD, record)
  if held == 0 then
    return create(key, record) and '1' or '0'
  elseif read_record_at(key) then
    return '0'
  end
  hold = call('INCR', 'pb:delayed:n')
  local head = pack(RECORD, expires_at, bytes, priority, held, delay_end, hold, queues, callback, further)
  create(key, head .. string.sub(record, RECORD_LENGTH + 1))
  call('ZADD', 'pb:delayed', text(delay_end), member_of(key, hold))
  return '1'
end

-- Notes what became of messages. For each key: the tag of the queue, and 'D': its consumer has it; 'H': the same, if it is
-- still held back; or 'E': it was given up when it was dead. Gives '1' where it is noted. A record that is gone stays so,
-- and what is noted stays noted.
local function note_one(key)
  local tag, new = argument(), argument()
  local expires_at, bytes, _, held, _, _, queues = read_record_at(key)
  if not expires_at then
    return '0'
  elseif new == 'H' then
    -- Delivered before it arrives, if it is held back.
    local tags = held == 1 and queues_of(key, bytes, queues) or ''
    if not string.find(' ' .. tags .. ' ', ' ' .. tag .. ' ', 1, true) then
      return '0'
    end
    new = 'D'
  end
  if call('HSETNX', notes_of(key), tag, new) == 0 then
    return '0'
  end
  call('EXPIREAT', notes_of(key), text(expires_at))
  return '1'
end

-- What stands in front of the payload of a record, and the list of its queues; nothing where there is no record.
local function read_head_of(keys, given)
  begin(given)
  local head = call('GETRANGE', keys[1], '0', text(RECORD_LENGTH - 1))
  local expires_at, bytes, _, _, _, _, queues = read_record(head)
  if not expires_at then
    return false
  end
  return head .. queues_of(keys[1], bytes, queues)
end

-- What was held back is in its queues.
local function release_record(keys, given)
  begin(given)
  if read_record_at(keys[1]) then
    call('SETRANGE', keys[1], text(HELD_AT), '\0')
  end
  return '1'
end

local EXPIRATION_MAX = 2147483647

-- Changes a record: for payload and callback each '1' and the new one, or '0' and nothing; then 'at' and a second, or
-- 'after' and milliseconds, or '' and nothing. Gives the second of its end and the list of its queues; nothing where there
-- is no such record.
local function update(keys, given)
  begin(given)
  local key = keys[1]
  local record = call('GET', key)
  if not record then
    return false
  end
  local expires_at, bytes, priority, held, delay_end, hold, queues_length, callback_length, further_length =
    read_record(record)
  if not expires_at then
    return false
  end
  local payload, queues, callback, further = parts_of(record, bytes, queues_length, callback_length, further_length)
  local has_payload, new_payload, has_callback, new_callback = argument(), argument(), argument(), argument()
  local kind, new_end = argument(), tonumber(argument())
  if has_payload == '1' then
    payload = new_payload
  end
  if has_callback == '1' then
    callback = new_callback
  end
  if kind == 'at' then
    expires_at = new_end
  elseif kind == 'after' then
    local from = held == 1 and delay_end or now
    expires_at = math.min(math.ceil((from + new_end) / 1000), EXPIRATION_MAX)
  end
  local head = pack(RECORD, expires_at, #payload, priority, held, delay_end, hold, #queues, callback and #callback or NONE,
    #further)
  call('SET', key, table.concat({head, payload, queues, callback or '', further}), 'EXAT', text(expires_at))
  call('EXPIREAT', notes_of(key), text(expires_at))
  return {text(expires_at), queues}
end

-- Removes a record. Gives the list of its queues; nothing where there is no record.
local function delete(keys, given)
  begin(given)
  local key = keys[1]
  local head = call('GETRANGE', key, '0', text(RECORD_LENGTH - 1))
  local queues = false
  if #head == RECORD_LENGTH then
    local _, bytes, _, held, _, hold, length = unpack_value(RECORD, head)
    queues = queues_of(key, bytes, length)
    if held == 1 then
      call('ZREM', 'pb:delayed', member_of(key, hold))
    end
  end
  call('DEL', key, notes_of(key))
  return queues
end

-- Takes over transactions whose delay is over: for how many milliseconds they are the caller's to put into their queues,
-- before somebody else may; at most how many. Gives the time, when the next is due or '-', and the members of pb:delayed
-- in the order in which they are to arrive.
local function claim(_, given)
  begin(given)
  local claim_life, count_max = tonumber(argument()), argument()
  local claimed = call('ZRANGEBYSCORE', 'pb:delayed', '-inf', text(now), 'LIMIT', '0', count_max)
  for _, member in ipairs(claimed) do
    call('ZADD', 'pb:delayed', text(now + claim_life), member)
  end
  local first = call('ZRANGE', 'pb:delayed', '0', '0', 'WITHSCORES')
  if not first[2] then
    call('DEL', 'pb:delayed:n')
  end
  local reply = {text(now), first[2] or '-'}
  for _, member in ipairs(claimed) do
    reply[#reply + 1] = member
  end
  return reply
end
