-- Of queues that were looked through in this call: what is out, by takers.
local out_of = {}

local function read_out(q, life)
  local by_taker = {}
  -- Of the leases of a pop none ends later than one that begins now.
  local times = {'(' .. text(now), text(now + life), 'LIMIT', '0', text(DUE_AT_ONCE)}
  local out = call('ZRANGEBYSCORE', q .. ':t', unpack(times))
  for id, value in pairs(read_messages(q, out)) do
    local _, _, _, _, _, lease, taker = read_message(value)
    if lease and lease ~= DEAD then
      by_taker[taker] = by_taker[taker] or {}
      by_taker[taker][id] = value
    end
  end
  return by_taker
end

-- What earlier tries of a pop were handed, and never heard of, is in the line again, as if it had not left it. They are
-- known by the names that its worker had.
local function recover(q, workers, ticket, life)
  out_of[q] = out_of[q] or read_out(q, life)
  local head, mine, values = read_head(q), {}, {}
  for worker in string.gmatch(workers, '%S+') do
    local taker = taker_of(worker, ticket)
    for id, value in pairs(out_of[q][taker] or {}) do
      mine[#mine + 1] = id
      values[id] = value
    end
    out_of[q][taker] = nil
  end
  put_back(q, head, mine, values, 1)
  seal(q, head)
end

-- recover: the names that the worker had, a ticket, milliseconds of its lease. The pop is over; what comes back is for
-- others.
function operations.recover(q)
  local workers, ticket, life = argument(), argument(), tonumber(argument())
  open(q)
  recover(q, workers, ticket, life)
  serve(q, read_head(q))
  return '1'
end

-- pop: most messages, most bytes, milliseconds of the lease, its kind, and who waits if there is nothing: a worker and
-- a ticket, or two empty arguments; and which names the worker had in earlier tries that came to nothing. Gives the
-- hand-out; or 'W': waits; or 'N': nothing; or 'A': ask again, there was too much to clear away.
function operations.pop(q)
  local count, bytes, life, kind = argument(), argument(), argument(), argument()
  local worker, ticket, earlier = argument(), argument(), argument()
  if earlier ~= '' then
    recover(q, earlier, ticket, tonumber(life))
  end
  local taker = worker ~= '' and taker_of(worker, ticket) or 0
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
    taker, slice, fields)
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
  if earlier ~= '' then
    -- More may have come back than it takes.
    serve(q, head)
  end
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
