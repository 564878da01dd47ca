-- Messages into a line and out of it.

-- A new lease, that ends in `life` milliseconds; of kind 'R', reliable, or 'D', delivery.
local function new_lease(q, head, life, kind)
  local serial = number(q, head) * 2 % LEASES_A_MILLISECOND
  return (now + life) * LEASES_A_MILLISECOND + serial + (kind == 'R' and 1 or 0)
end

-- Writes down a message that is out; gives when something happens to it.
local function lend(q, head, id, expires_at, bytes, place, deliveries, stays, lease, taker)
  put(q, head, id, struct.pack(OUT, expires_at, bytes, place, deliveries, stays, lease, taker))
  local time = math.min(ends_at(lease), expires_at * 1000)
  look_by(q, head, time)
  return text(time)
end

-- Lends a message once more. Gives when something happens to it, and how often it has been handed out.
local function hand_out(q, head, id, expires_at, bytes, place, deliveries, stays, lease, taker)
  if deliveries < DELIVERIES_COUNTED_MAX then
    deliveries = deliveries + 1
  end
  return lend(q, head, id, expires_at, bytes, place, deliveries, stays, lease, taker), deliveries
end

local function read_line(q, from, count)
  return call('ZRANGE', q .. ':l', text(from), text(from + math.min(count, SLICE) - 1))
end

-- Takes messages from the head of the line: a lease, their bytes, how often each was handed out, and their ids; and
-- whether it gave up, because too many messages came first whose life is over. The head may have been read already: the
-- ids of `slice`, and their values in `fields` behind those of the queue itself.
local function take(q, head, count_max, bytes_max, life, kind, taker, slice, fields)
  local ids, counts, over, total, done, lease = {}, {}, {}, 0, 0, nil
  local is_full, before = false, HEAD_LENGTH
  if not slice then
    slice = read_line(q, 0, count_max)
  end
  while #slice > 0 and not is_full and #over < DUE_AT_ONCE do
    if not fields then
      fields, before = call('HMGET', q, unpack(slice)), 0
    end
    local times = {}
    for at, id in ipairs(slice) do
      local expires_at, bytes, place, deliveries, stays = read_message(fields[before + at])
      if is_over(expires_at) then
        over[#over + 1] = id
      elseif #ids > 0 and total + bytes > bytes_max then
        is_full = true
        break
      else
        lease = lease or new_lease(q, head, life, kind)
        local time, count = hand_out(q, head, id, expires_at, bytes, place, deliveries, stays, lease, taker)
        times[#times + 1] = time
        times[#times + 1] = id
        ids[#ids + 1] = id
        counts[#ids] = count
        total = total + bytes
      end
      done = done + 1
    end
    if #times > 0 then
      call('ZADD', q .. ':t', unpack(times))
    end
    if #ids >= count_max or #slice < SLICE and #over == 0 then
      break
    end
    slice, fields = read_line(q, done, count_max - #ids), nil
  end
  if done > 0 then
    call('ZREMRANGEBYRANK', q .. ':l', '0', text(done - 1))
    forget(q, over, false, false)
  end
  return lease, total, counts, ids, #over >= DUE_AT_ONCE
end

-- Hands what is in the line to who waits.
local function serve(q, head)
  seal(q, head)
  local waiter = first_waiter(q)
  while waiter do
    local lease, bytes, counts, ids = take(q, head, waiter.count, waiter.bytes, waiter.life, waiter.kind,
      waiter.taker)
    seal(q, head)
    if #ids == 0 then
      return
    end
    hand_over(q, waiter, lease, bytes, counts, ids)
    waiter = first_waiter(q)
  end
end

-- Messages that are out or dead return to their old places; so many of their last deliveries do not count.
local function put_back(q, head, ids, values, void)
  in_slices(ids, function(slice)
    local places, times = {}, {}
    for _, id in ipairs(slice) do
      local expires_at, bytes, place, deliveries, stays = read_message(values[id])
      put(q, head, id, struct.pack(IN_LINE, expires_at, bytes, place, math.max(deliveries - void, 0), stays))
      places[#places + 1] = text(place)
      places[#places + 1] = id
      times[#times + 1] = text(expires_at * 1000)
      times[#times + 1] = id
    end
    call('ZADD', q .. ':l', unpack(places))
    call('ZADD', q .. ':t', unpack(times))
  end)
end

-- The values of messages by their ids; none for those that the queue does not have.
local function read_messages(q, ids)
  local values = {}
  in_slices(ids, function(slice)
    for at, value in ipairs(call('HMGET', q, unpack(slice))) do
      values[slice[at]] = value or nil
    end
  end)
  return values
end

-- Messages that are delivered or given up leave the queue; the caller says whether any of them may be in the line, or
-- dead. Of some it stays that they have been here.
local function let_go(q, head, ids, values, is_in_line, is_dead)
  local leaving, staying = {}, {}
  for _, id in ipairs(ids) do
    local expires_at, _, _, _, stays = read_message(values[id])
    if stays == 1 then
      staying[#staying + 1] = id
      put(q, head, id, GONE)
      look_by(q, head, expires_at * 1000)
      call('ZADD', q .. ':t', text(expires_at * 1000), id)
    else
      leaving[#leaving + 1] = id
    end
  end
  seal(q, head)
  forget(q, leaving, is_in_line, is_dead)
  in_slices(staying, function(slice)
    if is_in_line then
      call('ZREM', q .. ':l', unpack(slice))
    end
    if is_dead then
      call('ZREM', q .. ':x', unpack(slice))
    end
  end)
end
