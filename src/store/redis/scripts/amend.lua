-- Changes of a transaction, in one of its queues.

-- amend: id, second of its new end, bytes of its new payload; an empty argument leaves a thing as it is.
function operations.amend(q)
  local id, new_end, new_bytes = argument(), tonumber(argument()), tonumber(argument())
  local head, fields = open(q, id)
  local value = fields[HEAD_LENGTH + 1]
  if not value then
    return '0'
  elseif value == GONE then
    if new_end then
      look_by(q, head, new_end * 1000)
      seal(q, head)
      call('ZADD', q .. ':t', text(new_end * 1000), id)
    end
    return '0'
  end
  local expires_at, bytes, place, deliveries, stays, lease, taker = read_message(value)
  expires_at, bytes = new_end or expires_at, new_bytes or bytes
  local time = expires_at * 1000
  if lease == DEAD then
    bury(q, head, id, expires_at, bytes, place, deliveries, stays)
    look_by(q, head, time)
  elseif lease then
    time = lend(q, head, id, expires_at, bytes, place, deliveries, stays, lease, taker)
  else
    put(q, head, id, struct.pack(IN_LINE, expires_at, bytes, place, deliveries, stays))
    look_by(q, head, time)
  end
  seal(q, head)
  call('ZADD', q .. ':t', time, id)
  return '1'
end

-- remove: ids of transactions that are gone.
function operations.remove(q)
  local ids, head = split_ids(argument()), read_head(q)
  forget(q, ids, true, true)
  if head.d then
    -- There may be nothing left to keep the queue for.
    look_by(q, head, now)
    seal(q, head)
  end
  return '1'
end
