-- What falls due in a queue.

-- Notes when the queue is to be looked at next, or forgets it.
local function rest(q, head, has_waiters)
  local first = call('ZRANGE', q .. ':t', '0', '0', 'WITHSCORES')
  local time = tonumber(first[2])
  if has_waiters then
    time = math.min(time or math.huge, now + LOOK_MS)
  end
  time = time or ((head.p or 0) * 1000 + retention)
  if not first[2] and time <= now then
    call('DEL', q)
    call('ZREM', 'pb:due', q)
  else
    call('HSET', q, 'd', text(time))
    call('ZADD', 'pb:due', text(time), q)
  end
end

-- Messages whose time has come, with their values.
local function read_due(q)
  local times = q .. ':t'
  local due = call('ZRANGEBYSCORE', times, '-inf', now, 'LIMIT', 0, DUE_AT_ONCE)
  local values = read_messages(q, due)
  if #due < DUE_AT_ONCE then
    return due, values
  end
  local last = tonumber(call('ZSCORE', times, due[#due]))
  for _, value in pairs(values) do
    local expires_at, _, _, _, _, lease = read_message(value)
    if lease and ends_at(lease) == last and not is_over(expires_at) then
      -- What was handed out together goes back together, however much it is. Lives may end in several goes: any
      -- number of them may end in the same second.
      due = call('ZRANGEBYSCORE', times, '-inf', last)
      return due, read_messages(q, due)
    end
  end
  return due, values
end

-- Returns lapsed messages to the line or has them die, drops those whose life is over, and serves who waits.
local function tidy(q)
  local head, due, values = read_head(q), read_due(q)
  local over, lapsed, dying = {}, {}, {}
  for _, id in ipairs(due) do
    local expires_at, _, _, deliveries, _, lease = read_message(values[id])
    if not lease or lease == DEAD or is_over(expires_at) then
      over[#over + 1] = id
    elseif dies_at_lapse(lease, deliveries) then
      dying[#dying + 1] = id
    else
      lapsed[#lapsed + 1] = id
    end
  end
  forget(q, over, true, true)
  die(q, head, dying, values)
  put_back(q, head, lapsed, values, 0)
  local has_waiters = drop_gone_waiters(q) > 0
  if has_waiters and call('EXISTS', q .. ':l') == 1 then
    serve(q, head)
    has_waiters = call('EXISTS', q .. ':w') == 1
  else
    seal(q, head)
  end
  rest(q, head, has_waiters)
end

-- Reads a queue's own fields, and those of some messages behind them, once what fell due is done. Says whether there
-- was anything.
local function open(q, ...)
  local head, fields = read_head(q, ...)
  local is_due = head.d and head.d <= now
  if is_due then
    tidy(q)
    head, fields = read_head(q, ...)
  end
  if head.p and head.p * 1000 + retention <= now and call('EXISTS', q .. ':t', q .. ':w') == 0 then
    -- It has been idle for so long that its last pop is forgotten; the rest of it goes when it is looked at.
    call('HDEL', q, 'p')
    head.p = nil
  end
  return head, fields, is_due
end

-- The values of messages by their ids, and the queue's own fields, once what fell due is done.
local function open_messages(q, ids)
  if #ids > SLICE then
    local head = open(q)
    return read_messages(q, ids), head
  end
  local head, fields = open(q, unpack(ids))
  local values = {}
  for at, id in ipairs(ids) do
    values[id] = fields[HEAD_LENGTH + at] or nil
  end
  return values, head
end
