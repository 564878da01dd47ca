-- The queue at hand: its own fields, which are read first and written back together with those of messages.

local q, number, due, last_pop, high_end, low_end, husks, has_returned

-- Whether it is to be written, and fields of messages that are to be written with it.
local is_changed, noted

local function read_head(value)
  if value then
    number, due, last_pop, high_end, low_end, husks, has_returned = unpack_value(HEAD, value)
    has_returned = has_returned == 1
  else
    number, due, last_pop, high_end, low_end, husks, has_returned = 0, 0, 0, 0, 0, 0, false
  end
end

-- Makes a queue the one at hand.
local function take_up(key)
  q, is_changed, noted = key, false, {}
  read_head(call('HGET', key, '-'))
end

-- Writes what was noted.
local function seal()
  if is_changed then
    local head = pack(HEAD, number, due, last_pop, high_end, low_end, husks, has_returned and 1 or 0)
    call('HSET', q, '-', head, unpack(noted))
    is_changed, noted = false, {}
  elseif #noted > 0 then
    call('HSET', q, unpack(noted))
    noted = {}
  end
end

-- Notes a message to be written.
local function put(id, value)
  local count = #noted
  noted[count + 1] = id
  noted[count + 2] = value
  if count >= 2 * SLICE then
    seal()
  end
end

-- Makes sure that the queue is looked at by then.
local function look_by(time)
  if due == 0 or time < due then
    due, is_changed = time, true
    call('ZADD', 'pb:due', text(time), q)
  end
end

-- A place behind all others of its priority that have one.
local function next_place(flags)
  number, is_changed = number + 1, true
  return is_low(flags) and LOW + number or number
end

-- A new lease, that ends in `life` milliseconds; of kind 'R', reliable, or 'D', delivery.
local function new_lease(life, kind)
  number, is_changed = number + 1, true
  return (now + life) * LEASES_A_MILLISECOND + number * 2 % LEASES_A_MILLISECOND + (kind == 'R' and 1 or 0)
end

-- The values of messages by their ids; none for those that the queue does not have.
local function read_messages(ids)
  local values = {}
  in_slices(ids, function(slice)
    for at, value in ipairs(call('HMGET', q, unpack(slice))) do
      values[slice[at]] = value or nil
    end
  end)
  return values
end

-- The lists without their husks, once these are the most of them: so it costs as much as a few of the removals before.
local function drop_husks()
  for _, list in ipairs({q .. ':h', q .. ':l'}) do
    local ids = call('LRANGE', list, '0', '-1')
    call('DEL', list)
    in_slices(ids, function(slice)
      local values, kept, dropped = call('HMGET', q, unpack(slice)), {}, {}
      for at, id in ipairs(slice) do
        if is_fresh(values[at]) then
          kept[#kept + 1] = id
        elseif values[at] == HUSK then
          dropped[#dropped + 1] = id
        end
      end
      if #kept > 0 then
        call('RPUSH', list, unpack(kept))
      end
      if #dropped > 0 then
        call('HDEL', q, unpack(dropped))
      end
    end)
  end
  husks, is_changed = 0, true
end

-- Where messages of a priority are that have not been handed out.
local function list_of(is_low_part)
  return q .. (is_low_part and ':l' or ':h')
end

-- A message that has not been handed out leaves its list; whether it leaves a trace.
local function pluck(id, flags, is_traced)
  local list = list_of(is_low(flags))
  if call('LLEN', list) <= SEARCHED_MAX then
    call('LREM', list, '0', id)
  else
    if not is_traced then
      put(id, HUSK)
    end
    husks, is_changed = husks + 1, true
  end
end

-- Takes messages that are not out from where they are; whether they leave traces.
local function detach(ids, values, are_traced)
  local returned, dead = {}, {}
  for _, id in ipairs(ids) do
    local value = values[id]
    local _, _, flags, place, _, lease = read_message(value)
    if is_fresh(value) then
      pluck(id, flags, are_traced)
    elseif lease == DEAD then
      dead[#dead + 1] = id
    elseif place and not lease then
      returned[#returned + 1] = id
    end
  end
  in_slices(returned, function(slice) call('ZREM', q .. ':r', unpack(slice)) end)
  in_slices(dead, function(slice) call('ZREM', q .. ':x', unpack(slice)) end)
  if husks > SEARCHED_MAX and husks * 2 > call('LLEN', q .. ':h') + call('LLEN', q .. ':l') then
    seal()
    drop_husks()
  end
end

-- Takes messages out of the queue; those that are not out are to be detached as well.
local function forget(ids)
  in_slices(ids, function(slice)
    call('HDEL', q, unpack(slice))
    call('ZREM', q .. ':t', unpack(slice))
  end)
end
