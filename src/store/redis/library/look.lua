-- Looking at a queue, which changes nothing.

-- Calls `handle` with ids and values of those of one priority in the line, from its head, until that gives true. Gives
-- whether it did.
local function each_in_line(is_low_part, handle)
  local function is_done_with(ids, is_list)
    for at, value in ipairs(#ids > 0 and call('HMGET', q, unpack(ids)) or {}) do
      local expires_at = read_message(value)
      if (not is_list or is_fresh(value)) and not is_over(expires_at) and handle(ids[at], value) then
        return true
      end
    end
    return false
  end
  local high_count = call('ZCOUNT', q .. ':r', '-inf', '(' .. text(LOW))
  local from, to = 0, high_count - 1
  if is_low_part then
    from, to = high_count, math.huge
  end
  while from <= to do
    local ids = call('ZRANGE', q .. ':r', text(from), text(math.min(from + SLICE - 1, to)))
    if is_done_with(ids, false) then
      return true
    elseif #ids < SLICE then
      break
    end
    from = from + SLICE
  end
  local list, seen = list_of(is_low_part), 0
  while true do
    local ids = call('LRANGE', list, text(seen), text(seen + SLICE - 1))
    if is_done_with(ids, true) then
      return true
    elseif #ids < SLICE then
      return false
    end
    seen = seen + SLICE
  end
end

-- peek: most messages, most bytes. Gives messages as in a hand-out that is none.
function operations.peek(key)
  local count_max, bytes_max = tonumber(argument()), tonumber(argument())
  open(key)
  local messages, total = {}, 0
  local function add(id, value)
    local _, bytes = read_message(value)
    if #messages >= count_max or #messages > 0 and total + bytes > bytes_max then
      return true
    end
    messages[#messages + 1] = pack(HANDED, 0, bytes) .. id
    total = total + bytes
    return false
  end
  if not each_in_line(false, add) then
    each_in_line(true, add)
  end
  return pack(HANDOUT, 0, #messages) .. table.concat(messages)
end

-- info: most ids of each priority. Gives the second of the last pop or '-', whether a pop waits, the size, how many dead
-- letters there are, how many ids of high priority follow, and the ids.
function operations.info(key)
  local listed_max = tonumber(argument())
  open(key)
  local function listed(is_low_part)
    local ids = {}
    each_in_line(is_low_part, function(id)
      if #ids < listed_max then
        ids[#ids + 1] = id
      end
      return #ids >= listed_max
    end)
    return ids
  end
  local high, low = listed(false), listed(true)
  local is_blocked = first_waiter(is_alive) and '1' or '0'
  local size = call('ZCARD', q .. ':r') + call('LLEN', q .. ':h') + call('LLEN', q .. ':l') - husks
  local dead = call('ZCARD', q .. ':x')
  return table.concat({last_pop > 0 and last_pop or '-', is_blocked, size, dead, #high, ''}, ' ') .. table.concat(high)
    .. table.concat(low)
end

-- state: id. Gives where the message is: 'L', in the line, or out until its answer is written; 'B', out until it is
-- acked; 'X', among the dead letters; 'G', it has been here, and may be pushed again; '-', not here.
function operations.state(key)
  local id = argument()
  open(key)
  local value = call('HGET', q, id)
  if not value or value == HUSK then
    return '-'
  elseif value == GONE then
    return GONE
  end
  local _, _, _, _, _, lease = read_message(value)
  if lease == DEAD then
    return 'X'
  end
  return lease and lease % 2 == 1 and 'B' or 'L'
end
