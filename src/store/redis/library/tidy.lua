-- What falls due in the queue at hand.

-- Messages whose time has come, with their values.
local function read_due()
  local times = q .. ':t'
  local ids = call('ZRANGEBYSCORE', times, '-inf', text(now), 'LIMIT', '0', text(DUE_AT_ONCE))
  local values = read_messages(ids)
  if #ids < DUE_AT_ONCE then
    return ids, values
  end
  local last = tonumber(call('ZSCORE', times, ids[#ids]))
  for _, value in pairs(values) do
    local expires_at, _, _, _, _, lease = read_message(value)
    if lease and ends_at(lease) == last and not is_over(expires_at) then
      -- What was handed out together goes back together, however much it is. Lives may end in several goes: any
      -- number of them may end in the same second.
      ids = call('ZRANGEBYSCORE', times, '-inf', text(last))
      return ids, read_messages(ids)
    end
  end
  return ids, values
end

-- Drops from a list those whose life is over. Each ends no sooner than those before it, but for those that are in q:t.
-- Gives when there is something to drop again.
local function drop_over(list)
  local dropped, is_leading, count, seen = 0, true, 0, {}
  local first_end
  while not first_end and count < DUE_AT_ONCE do
    local ids = call('LRANGE', list, text(count), text(count + SLICE - 1))
    if #ids == 0 then
      break
    end
    local values, over, husked = call('HMGET', q, unpack(ids)), {}, {}
    for at, id in ipairs(ids) do
      local expires_at, _, flags = read_message(values[at])
      if not is_fresh(values[at]) or seen[id] then
        if is_leading then
          dropped, husks = dropped + 1, husks - 1
          if values[at] == HUSK then
            over[#over + 1] = id
          end
        end
      elseif is_over(expires_at) then
        seen[id] = true
        tell_of_end(id, values[at])
        over[#over + 1] = id
        if is_leading then
          dropped = dropped + 1
        else
          husked[#husked + 1] = id
        end
      elseif is_timed(flags) then
        is_leading = false
      else
        first_end = expires_at * 1000
        break
      end
    end
    if #over > 0 then
      forget(over)
      is_changed = true
    end
    for _, id in ipairs(husked) do
      put(id, HUSK)
      husks, is_changed = husks + 1, true
    end
    count = count + #ids
  end
  if dropped > 0 then
    call('LTRIM', list, text(dropped), '-1')
    is_changed = true
  end
  if not first_end and count >= DUE_AT_ONCE then
    -- There may be more behind them.
    first_end = dropped > 0 and now or now + LOOK_MS
  end
  return first_end
end

-- Notes when the queue is to be looked at next, or forgets it.
local function rest(has_waiters, first_end)
  local first = call('ZRANGE', q .. ':t', '0', '0', 'WITHSCORES')
  local time = math.min(tonumber(first[2]) or math.huge, first_end or math.huge)
  local has_messages = time < math.huge
  if has_waiters then
    time = math.min(time, now + LOOK_MS)
  end
  if time == math.huge then
    time = last_pop * 1000 + retention
  end
  if not has_messages and time <= now then
    call('DEL', q)
    call('ZREM', 'pb:due', q)
    take_up(q)
  else
    due, is_changed = time, true
    call('ZADD', 'pb:due', text(time), q)
    seal()
  end
end

-- Returns lapsed messages to the line or has them die, drops those whose life is over, and serves who waits.
local function tidy()
  local ids, values = read_due()
  local over, lapsed, dying = {}, {}, {}
  for _, id in ipairs(ids) do
    local expires_at, _, _, _, deliveries, lease = read_message(values[id])
    if not lease or lease == DEAD or is_over(expires_at) then
      tell_of_end(id, values[id])
      over[#over + 1] = id
    elseif dies_at_lapse(lease, deliveries) then
      dying[#dying + 1] = id
    else
      lapsed[#lapsed + 1] = id
    end
  end
  if #over > 0 then
    forget(over)
    detach(over, values, false)
  end
  die(dying, values)
  put_back(lapsed, values, 0)
  tell_of_return(lapsed, values)
  seal()
  local high, low = drop_over(q .. ':h'), drop_over(q .. ':l')
  seal()
  local has_waiters = drop_gone_waiters() > 0
  if has_waiters then
    serve()
    has_waiters = call('EXISTS', q .. ':w') == 1
  end
  if high and low then
    high = math.min(high, low)
  end
  rest(has_waiters, high or low)
end

-- Makes a queue the one at hand, once what fell due in it is done.
local function open(key)
  take_up(key)
  if due > 0 and due <= now then
    tidy()
  end
  if last_pop > 0 and last_pop * 1000 + retention <= now
    and call('EXISTS', q .. ':h', q .. ':l', q .. ':t', q .. ':w') == 0 then
    -- It has been idle for so long that its last pop is forgotten; the rest of it goes when it is looked at.
    last_pop, is_changed = 0, true
  end
end
