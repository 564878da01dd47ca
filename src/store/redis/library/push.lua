-- Messages come in.

-- A payload up to this size goes to who waits without being fetched.
local CARRIED_BYTES_MAX = 1024

-- Puts a message into the queue at hand. Gives '1', or '0' where the queue has it or it is over. `payload_of` gives its
-- payload, where it is at hand.
local function enter(id, value, payload_of, source)
  local expires_at, bytes, flags = unpack_value(FRESH, value)
  local is_repeat = stays(flags)
  local known = is_repeat and call('HGET', q, id)
  if is_over(expires_at) or known and known ~= HUSK then
    seal()
    return '0'
  end
  -- Somebody waits only where there is nothing in the line, so it need not go through there.
  local worker, ticket, taker, _, _, life, kind = first_waiter(seems_alive)
  if worker then
    local lease = new_lease(life, kind)
    local count, time = hand_out(id, expires_at, bytes, flags, next_place(flags), 0, lease, taker)
    seal()
    call('ZADD', q .. ':t', time, id)
    local payload = payload_of and bytes <= CARRIED_BYTES_MAX and payload_of(source, bytes) or nil
    hand_over(worker, ticket, lease, {id}, pack(HANDED, count, bytes) .. id, payload)
    return '1'
  end
  if call('HSET', q, id, value) == 0 then
    -- It has been here, and is not to be taken for the husk that it left behind.
    husks, is_changed = husks - call('LREM', q .. ':h', '1', id) - call('LREM', q .. ':l', '1', id), true
  end
  local is_low, last_end = is_low(flags), high_end
  if is_low then
    last_end = low_end
  end
  local is_first = call('RPUSH', list_of(is_low), id) == 1
  if expires_at < last_end and not is_first then
    put(id, pack(FRESH, expires_at, bytes, flags + TIMED))
    call('ZADD', q .. ':t', text(expires_at * 1000), id)
  elseif expires_at ~= last_end then
    is_changed = true
    if is_low then
      low_end = expires_at
    else
      high_end = expires_at
    end
  end
  look_by(expires_at * 1000)
  seal()
  return '1'
end

local function whole(source)
  return source
end

-- push: id, the message as in FRESH, and its payload behind a ':', or nothing where it is to be fetched. It stays what it
-- is if the queue has it already.
function operations.push(key)
  local id, value, carried = argument(), argument(), argument()
  open(key)
  if carried == '' then
    return enter(id, value)
  end
  return enter(id, value, whole, string.sub(carried, 2))
end

-- new: id, the message as in FRESH, and the record of its transaction, which is on the server of the queue. Gives 'E'
-- where there is a record already.
function operations.new(key)
  local id, value, record = argument(), argument(), argument()
  if not create('pb:t:{' .. id .. '}', record) then
    return 'E'
  end
  open(key)
  return enter(id, value, payload_of_record, record)
end
