-- What is done with dead letters.

-- dead: most letters. Gives how many there are, how many of those that follow are of high priority, how often each was
-- handed out, and the ids.
function operations.dead(key)
  local count_max = tonumber(argument())
  open(key)
  local ids, counts, high, from = {}, {}, 0, 0
  while #ids < count_max do
    local slice = call('ZRANGE', q .. ':x', text(from), text(from + SLICE - 1))
    if #slice == 0 then
      break
    end
    from = from + SLICE
    for at, value in ipairs(call('HMGET', q, unpack(slice))) do
      local expires_at, _, flags, _, deliveries = read_message(value)
      if not is_over(expires_at) and #ids < count_max then
        ids[#ids + 1] = slice[at]
        counts[#ids] = deliveries
        high = high + (is_low(flags) and 0 or 1)
      end
    end
  end
  return table.concat({call('ZCARD', q .. ':x'), high, describe_counts(counts), table.concat(ids)}, ' ')
end

-- Reads which dead letters something is to be done with: ids, or nothing and how many of the first. `handle` gets them,
-- and their values by their ids. Gives how many dead letters are left, and the ids of those that it was done with.
local function with_dead(key, handle)
  local named, count = split_ids(argument()), tonumber(argument())
  open(key)
  local ids = named
  if #named == 0 and count > 0 then
    ids = call('ZRANGE', q .. ':x', '0', text(count - 1))
  end
  local values = read_messages(ids)
  local moved, over, stray, is_moved = {}, {}, {}, {}
  for _, id in ipairs(ids) do
    local expires_at, _, _, _, _, lease = read_message(values[id])
    if not is_moved[id] and lease == DEAD and not is_over(expires_at) then
      moved[#moved + 1] = id
      is_moved[id] = true
    elseif #named == 0 then
      local list = stray
      if is_over(expires_at) then
        list = over
        tell_of_end(id, values[id])
      end
      list[#list + 1] = id
    end
  end
  -- They would be in the way of those that follow.
  forget(over)
  in_slices(over, function(slice) call('ZREM', q .. ':x', unpack(slice)) end)
  in_slices(stray, function(slice) call('ZREM', q .. ':x', unpack(slice)) end)
  handle(moved, values)
  return call('ZCARD', q .. ':x') .. ' ' .. table.concat(moved)
end

-- redrive: ids, how many. They are in the line again, at their old places and as if never handed out.
function operations.redrive(key)
  return with_dead(key, function(ids, values)
    in_slices(ids, function(slice) call('ZREM', q .. ':x', unpack(slice)) end)
    put_back(ids, values, DELIVERIES_COUNTED_MAX)
    tell_of_return(ids, values)
    -- All of them are back before anybody is served, so the next taker gets them in order.
    serve()
  end)
end

-- purge: ids, how many. The queue is rid of them.
function operations.purge(key)
  return with_dead(key, function(ids, values)
    part_with(ids, values)
    for _, id in ipairs(ids) do
      tell(EXPIRED, id)
    end
    if due > 0 then
      -- There may be nothing left to keep the queue for.
      look_by(now)
    end
    seal()
  end)
end
