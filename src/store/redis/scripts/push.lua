-- Messages come in.

-- What a queue is told of a message: id, '1' for low priority, second of its end, bytes of its payload, '1' if the
-- queue may have it already or be told of it again, and the payload itself behind a ':', or nothing where it is to be fetched.
local function read_letter()
  return {
    id = argument(), is_low = argument() == '1', expires_at = argument(), bytes = argument(),
    is_repeat = argument() == '1', carried = argument()
  }
end

-- Puts a message into a queue. Gives '1', or '0' where the queue has it or it is over.
local function enter(q, letter)
  local id, expires_at, bytes = letter.id, letter.expires_at, letter.bytes
  local head, fields
  if letter.is_repeat then
    head, fields = open(q, id)
  else
    head = open(q)
  end
  if letter.is_repeat and fields[HEAD_LENGTH + 1] or is_over(expires_at) then
    return '0'
  end
  local place, stays = number(q, head) + (letter.is_low and LOW or 0), letter.is_repeat and 1 or 0
  -- Somebody waits only where there is nothing in the line, so it need not go through there.
  local waiter, time = first_waiter(q), expires_at .. '000'
  if waiter then
    local lease = new_lease(q, head, waiter.life, waiter.kind)
    local count
    time, count = hand_out(q, head, id, expires_at, bytes, place, 0, stays, lease, waiter.taker)
    seal(q, head)
    local payload = letter.carried ~= '' and string.sub(letter.carried, 2) or nil
    hand_over(q, waiter, lease, bytes, {count}, {id}, payload)
  else
    put(q, head, id, struct.pack(IN_LINE, expires_at, bytes, place, 0, stays))
    look_by(q, head, expires_at * 1000)
    seal(q, head)
    call('ZADD', q .. ':l', text(place), id)
  end
  call('ZADD', q .. ':t', time, id)
  return '1'
end

-- push: a letter.
function operations.push(q)
  return enter(q, read_letter())
end

-- new: the key of a record, payload, priority, second of its end, queues, callback and further fields; and a letter,
-- which carries no payload but may say with a ':' that the record's is to be carried. For a queue that is on the server
-- of the record. Gives 'E' where there is a record already.
function operations.new(q)
  local key, payload, priority, expires_at = argument(), argument(), argument(), argument()
  local queues, callback, further = argument(), argument(), argument()
  local letter = read_letter()
  if create(key, payload, priority, expires_at, queues, callback, further, '') == '0' then
    return 'E'
  end
  if letter.carried ~= '' then
    letter.carried = letter.carried .. payload
  end
  return enter(q, letter)
end
