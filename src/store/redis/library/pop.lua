-- Messages go out.

-- Where a waiter as it is written down has the number for its pop.
local TAKER_AT = 41

-- Of queues that were looked through in this call: what is out, by takers.
local out_of

local function read_out(life)
  local by_taker = {}
  -- Of the leases of a pop none ends later than one that begins now.
  local out = call('ZRANGEBYSCORE', q .. ':t', '(' .. text(now), text(now + life), 'LIMIT', '0', text(DUE_AT_ONCE))
  for id, value in pairs(read_messages(out)) do
    local _, _, _, _, _, lease, taker = read_message(value)
    if lease and lease ~= DEAD then
      by_taker[taker] = by_taker[taker] or {}
      by_taker[taker][id] = true
    end
  end
  return by_taker
end

-- What earlier tries of a pop were handed, and never heard of, is in the line again, as if it had not left it. They are
-- known by the numbers that the pop had, of eight bytes each.
local function recover(takers, life)
  out_of[q] = out_of[q] or read_out(life)
  local mine, ids = {}, {}
  for at = 1, #takers, 8 do
    mine[unpack_value('>d', takers, at)] = true
    for id in pairs(out_of[q][unpack_value('>d', takers, at)] or {}) do
      ids[#ids + 1] = id
    end
  end
  -- Something may have become of them since, in the same call.
  local values, still_out = read_messages(ids), {}
  for _, id in ipairs(ids) do
    local _, _, _, _, _, lease, taker = read_message(values[id])
    if lease and lease ~= DEAD and mine[taker] then
      still_out[#still_out + 1] = id
    end
  end
  put_back(still_out, values, 1)
  seal()
end

-- recover: the numbers that a pop had, milliseconds of its lease. The pop is over; what comes back is for others.
function operations.recover(key)
  local takers, life = argument(), tonumber(argument())
  open(key)
  recover(takers, life)
  serve()
  return '1'
end

-- The payload of a message, if its record is here and it is small enough.
local function carried(id, bytes)
  if bytes > CARRIED_BYTES_MAX then
    return ''
  end
  local record = call('GETRANGE', 'pb:t:{' .. id .. '}', '0', text(RECORD_LENGTH + bytes - 1))
  if #record < RECORD_LENGTH + bytes then
    return ''
  end
  -- It may have become another one, of which the queue has not been told yet.
  local _, length = unpack_value('>I4I4', record)
  return length == bytes and payload_of_record(record, bytes) or ''
end

-- pop: as in TERMS; as in WAITER, or nothing if it is not to wait; the numbers it had in earlier tries that came to
-- nothing; '1' if records are here. Gives 'M', the hand-out, and the payload of a single message that is small; or 'W':
-- waits; or 'F': as many wait as may; or 'N': nothing; or 'A': ask again, there was too much to clear away.
function operations.pop(key)
  local terms, waiter, earlier, has_records = argument(), argument(), argument(), argument()
  local count, bytes, life, kind = unpack_value(TERMS, terms)
  open(key)
  if earlier ~= '' then
    recover(earlier, life)
  end
  local second = math.floor(now / 1000)
  -- Whoever makes up names of queues is not to fill the server with them.
  local is_noted = due > 0 or call('ZCARD', 'pb:due') < queues_max
  if is_noted and last_pop ~= second then
    last_pop, is_changed = second, true
  end
  local taker = waiter ~= '' and unpack_value('>d', waiter, TAKER_AT) or 0
  local lease, ids, messages, gave_up = take(count, bytes, life, kind, taker)
  local reply = 'N'
  if lease then
    local payload = ''
    if has_records == '1' and #ids == 1 then
      local _, bytes = unpack_value(HANDED, messages)
      payload = carried(ids[1], bytes)
    end
    reply = 'M' .. pack(HANDOUT, lease, #ids) .. messages .. payload
  elseif gave_up then
    reply = 'A'
  elseif waiter ~= '' then
    -- One that is asked for again is among them under an earlier name, for a while.
    if call('RPUSH', q .. ':w', waiter) > waiters_max and earlier == '' then
      call('RPOP', q .. ':w')
      reply = 'F'
    else
      reply = 'W'
    end
    look_by(now + LOOK_MS)
  elseif is_noted then
    look_by(second * 1000 + retention)
  end
  seal()
  if earlier ~= '' then
    -- More may have come back than it takes.
    serve()
  end
  return reply
end

-- cancel: a waiter, as it was written down. Gives whether it was still there.
function operations.cancel(key)
  local waiter = argument()
  take_up(key)
  local removed = call('LREM', q .. ':w', '1', waiter)
  if due > 0 and last_pop == 0 then
    -- It may have been known for this waiter alone.
    look_by(now)
    seal()
  end
  return tostring(removed)
end
