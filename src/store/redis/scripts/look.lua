-- Looking at a queue, which changes nothing.

-- peek: most messages, most bytes. Gives bytes and ids.
function operations.peek(q)
  local count_max, bytes_max = tonumber(argument()), tonumber(argument())
  open(q)
  local ids, total, from, is_full = {}, 0, 0, false
  while #ids < count_max and not is_full do
    local slice = call('ZRANGE', q .. ':l', from, from + SLICE - 1)
    if #slice == 0 then
      break
    end
    from = from + SLICE
    for at, value in ipairs(call('HMGET', q, unpack(slice))) do
      local expires_at, bytes = read_message(value)
      if not is_over(expires_at) then
        if #ids >= count_max or #ids > 0 and total + bytes > bytes_max then
          is_full = true
          break
        end
        ids[#ids + 1] = slice[at]
        total = total + bytes
      end
    end
  end
  return total .. ' ' .. table.concat(ids)
end

-- info: most ids of each priority. Gives the second of the last pop or '-', whether a pop waits, the size, how many dead
-- letters there are, how many ids of high priority follow, and the ids.
function operations.info(q)
  local listed_max = tonumber(argument())
  local head = open(q)
  local high = call('ZRANGEBYSCORE', q .. ':l', '-inf', '(' .. string.format('%.0f', LOW), 'LIMIT', 0, listed_max)
  local low = call('ZRANGEBYSCORE', q .. ':l', string.format('%.0f', LOW), '+inf', 'LIMIT', 0, listed_max)
  local is_blocked = first_waiter(q) and '1' or '0'
  local size, dead = call('ZCARD', q .. ':l'), call('ZCARD', q .. ':x')
  return table.concat({head.p or '-', is_blocked, size, dead, #high, ''}, ' ') .. table.concat(high) .. table.concat(low)
end

-- state: id. Gives where the message is: 'L', in the line, or out until its answer is written; 'B', out until it is
-- acked; 'X', among the dead letters; '-', not here.
function operations.state(q)
  local _, fields = open(q, argument())
  local value = fields[HEAD_LENGTH + 1]
  if not value or value == GONE then
    return '-'
  end
  local _, _, _, _, _, lease = read_message(value)
  if lease == DEAD then
    return 'X'
  end
  return lease and lease % 2 == 1 and 'B' or 'L'
end
