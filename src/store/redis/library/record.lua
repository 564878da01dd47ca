-- Records of transactions: each is one string, so that one command writes it whole.

-- Second of its end, bytes of the payload, priority, 1 while it is held back, milliseconds of its delay's end, the number
-- behind which it stands in pb:delayed; lengths of the list of its queues, of its callback, or NONE, and of its further
-- fields. Payload, queues, callback and further fields follow.
local RECORD = '>I4I4c1BddI4I4I4'
local RECORD_LENGTH = 38
local HELD_AT = 9
local NONE = 4294967295

-- What became of a transaction's messages, where their queues do not tell: a hash, by the tags of queues.
local function notes_of(key)
  return key .. ':n'
end

-- A record's head; nothing where there is none, or one that is over.
local function read_record(record)
  if #record >= RECORD_LENGTH then
    local expires_at, bytes, priority, held, delay_end, hold, queues, callback, further = unpack_value(RECORD, record)
    if not is_over(expires_at) then
      return expires_at, bytes, priority, held, delay_end, hold, queues, callback, further
    end
  end
end

-- The same, of the record that is there.
local function read_record_at(key)
  return read_record(call('GETRANGE', key, '0', text(RECORD_LENGTH - 1)))
end

-- The list of a record's queues.
local function queues_of(key, bytes, length)
  local from = RECORD_LENGTH + bytes
  return call('GETRANGE', key, text(from), text(from + length - 1))
end

-- Writes a record, unless there is one. Gives whether it has done so.
local function create(key, record)
  local expires_at = text((unpack_value('>I4', record)))
  if call('SET', key, record, 'NX', 'EXAT', expires_at) then
    return true
  end
  -- It may be over without being gone yet.
  if read_record_at(key) then
    return false
  end
  call('SET', key, record, 'EXAT', expires_at)
  call('DEL', notes_of(key))
  return true
end

local function payload_of_record(record, bytes)
  return string.sub(record, RECORD_LENGTH + 1, RECORD_LENGTH + bytes)
end

-- The member of pb:delayed for what is held back: it stands there by the end of its delay, and behind what has the same
-- one by a number.
local function member_of(key, hold)
  return format('%016.0f', hold) .. string.match(key, '{(.*)}')
end

-- The parts behind a record's head.
local function parts_of(record, bytes, queues, callback, further)
  local at = RECORD_LENGTH + 1
  local function part(length)
    at = at + length
    return string.sub(record, at - length, at - 1)
  end
  return part(bytes), part(queues), callback ~= NONE and part(callback) or nil, part(further)
end
