-- pop: most messages, most bytes, milliseconds of the lease, its kind, and who waits if there is nothing: a worker and
-- a ticket, or two empty arguments. Gives the hand-out; or 'W': waits; or 'N': nothing; or 'A': ask again, there was
-- too much to clear away.
function operations.pop(q)
  local count, bytes, life, kind = argument(), argument(), argument(), argument()
  local worker, ticket = argument(), argument()
  local slice = read_line(q, 0, tonumber(count))
  local head, fields, is_tidied = open(q, unpack(slice))
  if is_tidied then
    slice, fields = nil, nil
  end
  local second = math.floor(now / 1000)
  -- Whoever makes up names of queues is not to fill the server with them.
  local is_noted = head.d or call('ZCARD', 'pb:due') < queues_max
  if is_noted and head.p ~= second then
    head.p = second
    put(q, head, 'p', text(second))
  end
  local lease, total, counts, ids, gave_up = take(q, head, tonumber(count), tonumber(bytes), tonumber(life), kind,
    slice, fields)
  local reply = 'N'
  if #ids > 0 then
    reply = 'M' .. describe_handout(lease, total, counts, ids)
  elseif gave_up then
    reply = 'A'
  elseif worker ~= '' then
    call('RPUSH', q .. ':w', table.concat({worker, ticket, count, bytes, life, kind}, ' '))
    look_by(q, head, now + LOOK_MS)
    reply = 'W'
  elseif is_noted then
    look_by(q, head, second * 1000 + retention)
  end
  seal(q, head)
  return reply
end

-- cancel: a waiter, as it was written down. Gives whether it was still there.
function operations.cancel(q)
  local waiter, head = argument(), read_head(q)
  local removed = call('LREM', q .. ':w', 1, waiter)
  if head.d and not head.p then
    -- It may have been known for this waiter alone.
    look_by(q, head, now)
    seal(q, head)
  end
  return tostring(removed)
end
