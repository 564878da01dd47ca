-- Messages into the line and out of it.

-- The text of the time that was asked for last: what is handed out in one call has mostly the same.
local last_time, last_text

-- Lends a message once more. Gives how often it has been handed out by then, and when something happens to it.
local function hand_out(id, expires_at, bytes, flags, place, deliveries, lease, taker)
  if deliveries < DELIVERIES_COUNTED_MAX then
    deliveries = deliveries + 1
  end
  put(id, pack(OUT, expires_at, bytes, flags, place, deliveries, lease, taker))
  local time = ends_at(lease)
  if time > expires_at * 1000 then
    time = expires_at * 1000
  end
  look_by(time)
  if time ~= last_time then
    last_time, last_text = time, text(time)
  end
  return deliveries, last_text
end

-- The next ids of a part of the line, which are in it no more: those that have come back, before or from place LOW on, or
-- those of a list.
local function pop_returned(is_first, count)
  local from, to = '-inf', '(' .. text(LOW)
  if not is_first then
    from, to = text(LOW), '+inf'
  end
  local ids = call('ZRANGEBYSCORE', q .. ':r', from, to, 'LIMIT', '0', text(count))
  if #ids > 0 then
    call('ZREM', q .. ':r', unpack(ids))
  end
  return ids
end

local PARTS = {
  function(count) return has_returned and pop_returned(true, count) or {} end,
  function(count) return call('LPOP', q .. ':h', text(count)) or {} end,
  function(count) return has_returned and pop_returned(false, count) or {} end,
  function(count) return call('LPOP', q .. ':l', text(count)) or {} end
}

-- Puts ids back at the head of the part of the line they were taken from.
local function put_aside(part, ids, values, from)
  local rest = {}
  for at = #ids, from, -1 do
    if part % 2 == 0 then
      rest[#rest + 1] = ids[at]
    else
      local _, _, _, place = read_message(values[at])
      rest[#rest + 1] = text(place or 0)
      rest[#rest + 1] = ids[at]
    end
  end
  if part % 2 == 0 then
    call('LPUSH', list_of(part == 4), unpack(rest))
  else
    call('ZADD', q .. ':r', unpack(rest))
  end
end

-- Takes messages from the head of the line. Gives the lease, if there are any, their ids, these with what is said of
-- them, and whether it gave up, because too many came first whose life is over.
local function take_some(count_max, bytes_max, life, kind, taker)
  local lease, ids, messages, total, cleared = nil, {}, {}, 0, 0
  -- One that was here before may have left a husk of the same id.
  local seen = husks > 0 and {}
  for part = 1, 4 do
    local is_at_end = false
    while not is_at_end do
      local wanted = math.min(count_max - #ids, SLICE)
      local slice = PARTS[part](wanted)
      if #slice == 0 then
        break
      end
      is_at_end = #slice < wanted
      local values = #slice == 1 and {call('HGET', q, slice[1])} or call('HMGET', q, unpack(slice))
      local times, over = {}, {}
      for at, id in ipairs(slice) do
        local value = values[at]
        local expires_at, bytes, flags, place, deliveries = read_message(value)
        local is_husk = part % 2 == 0 and not is_fresh(value)
        if seen then
          is_husk, seen[id] = is_husk or seen[id], true
        end
        if is_husk then
          husks, is_changed = husks - 1, true
          cleared = cleared + 1
          if value == HUSK then
            over[#over + 1] = id
          end
        elseif is_over(expires_at) then
          tell_of_end(id, value)
          over[#over + 1] = id
          cleared = cleared + 1
        elseif #ids > 0 and total + bytes > bytes_max then
          put_aside(part, slice, values, at)
          count_max = #ids
          break
        else
          lease = lease or new_lease(life, kind)
          local count, time = hand_out(id, expires_at, bytes, flags, place or next_place(flags), deliveries or 0, lease,
            taker)
          times[#times + 1] = time
          times[#times + 1] = id
          total = total + bytes
          ids[#ids + 1] = id
          messages[#ids] = pack(HANDED, count, bytes) .. id
        end
      end
      if #times > 0 then
        call('ZADD', q .. ':t', unpack(times))
      end
      if #over > 0 then
        forget(over)
      end
      if #ids >= count_max then
        return lease, ids, table.concat(messages), false
      elseif cleared >= DUE_AT_ONCE then
        return lease, ids, table.concat(messages), true
      end
    end
  end
  if has_returned then
    has_returned, is_changed = false, true
  end
  return lease, ids, table.concat(messages), false
end

-- The same. Most often it is one message that has not been handed out before.
local function take(count_max, bytes_max, life, kind, taker)
  if count_max > 1 or has_returned then
    return take_some(count_max, bytes_max, life, kind, taker)
  end
  local list = q .. ':h'
  local id = call('LPOP', list)
  if not id then
    list = q .. ':l'
    id = call('LPOP', list)
    if not id then
      return nil
    end
  end
  local value = call('HGET', q, id)
  local expires_at, bytes, flags = read_message(value)
  if not is_fresh(value) or is_over(expires_at) then
    call('LPUSH', list, id)
    return take_some(count_max, bytes_max, life, kind, taker)
  end
  local place, lease = next_place(flags), new_lease(life, kind)
  local count, time = hand_out(id, expires_at, bytes, flags, place, 0, lease, taker)
  call('ZADD', q .. ':t', time, id)
  return lease, {id}, pack(HANDED, count, bytes) .. id, false
end

-- Hands what is in the line to who waits.
local function serve()
  seal()
  local worker, ticket, taker, count, bytes, life, kind = first_waiter(seems_alive)
  while worker do
    local lease, ids, messages, gave_up = take(count, bytes, life, kind, taker)
    if gave_up then
      -- There may be more behind what was cleared away.
      look_by(now)
    end
    seal()
    if not lease then
      return
    end
    hand_over(worker, ticket, lease, ids, messages)
    worker, ticket, taker, count, bytes, life, kind = first_waiter(seems_alive)
  end
end

-- Messages that are out or dead return to their old places; so many of their last deliveries do not count.
local function put_back(ids, values, void)
  in_slices(ids, function(slice)
    local places, times = {}, {}
    for _, id in ipairs(slice) do
      local expires_at, bytes, flags, place, deliveries = read_message(values[id])
      put(id, pack(IN_LINE, expires_at, bytes, flags, place, math.max(deliveries - void, 0)))
      places[#places + 1] = text(place)
      places[#places + 1] = id
      times[#times + 1] = text(expires_at * 1000)
      times[#times + 1] = id
    end
    call('ZADD', q .. ':r', unpack(places))
    call('ZADD', q .. ':t', unpack(times))
    has_returned, is_changed = true, true
  end)
end

-- Messages are delivered or given up, and something of them stays: that they have been here.
local function leave_traces(ids, values)
  in_slices(ids, function(slice)
    local times = {}
    for _, id in ipairs(slice) do
      local expires_at = read_message(values[id])
      put(id, GONE)
      look_by(expires_at * 1000)
      times[#times + 1] = text(expires_at * 1000)
      times[#times + 1] = id
    end
    call('ZADD', q .. ':t', unpack(times))
  end)
end
