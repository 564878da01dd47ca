-- Changes of a transaction, in one of its queues.

-- amend: id, second of its new end, bytes of its new payload; an empty argument leaves a thing as it is.
function operations.amend(key)
  local id, new_end, new_bytes = argument(), tonumber(argument()), tonumber(argument())
  open(key)
  local value = call('HGET', q, id)
  if not value or value == HUSK then
    return '0'
  elseif value == GONE then
    if new_end then
      look_by(new_end * 1000)
      seal()
      call('ZADD', q .. ':t', text(new_end * 1000), id)
    end
    return '0'
  end
  local expires_at, bytes, flags, place, deliveries, lease, taker = read_message(value)
  expires_at, bytes = new_end or expires_at, new_bytes or bytes
  local time = expires_at * 1000
  if lease == DEAD then
    bury(id, expires_at, bytes, flags, place, deliveries)
  elseif lease then
    put(id, pack(OUT, expires_at, bytes, flags, place, deliveries, lease, taker))
    time = math.min(ends_at(lease), time)
  elseif place then
    put(id, pack(IN_LINE, expires_at, bytes, flags, place, deliveries))
  else
    -- The list is no longer in the order of ends.
    flags = is_timed(flags) and flags or flags + TIMED
    put(id, pack(FRESH, expires_at, bytes, flags))
  end
  look_by(time)
  seal()
  call('ZADD', q .. ':t', text(time), id)
  return '1'
end

-- remove: ids of transactions that are gone.
function operations.remove(key)
  local ids = split_ids(argument())
  take_up(key)
  local values = read_messages(ids)
  for _, id in ipairs(ids) do
    local expires_at = read_message(values[id])
    if is_over(expires_at) then
      tell_of_end(id, values[id])
    end
  end
  forget(ids)
  detach(ids, values, false)
  if due > 0 then
    -- There may be nothing left to keep the queue for.
    look_by(now)
  end
  seal()
  return '1'
end
