-- A queue's own fields, read once and written back together.

-- Notes a field to be written by `seal`.
local function put(q, head, field, value)
  local fields = head.fields
  fields[#fields + 1] = field
  fields[#fields + 1] = value
  if #fields >= 2 * SLICE then
    call('HSET', q, unpack(fields))
    head.fields = {}
  end
end

-- Writes what was noted.
local function seal(q, head)
  if #head.fields > 0 then
    call('HSET', q, unpack(head.fields))
    head.fields = {}
  end
end

-- Another number of this queue, larger than all before.
local function number(q, head)
  head.n = head.n + 1
  put(q, head, 'n', text(head.n))
  return head.n
end

-- Makes sure that the queue is looked at by then.
local function look_by(q, head, time)
  if not head.d or time < head.d then
    head.d = time
    put(q, head, 'd', text(time))
    call('ZADD', 'pb:due', text(time), q)
  end
end

-- Fields of its own that are read first.
local HEAD_LENGTH = 3

local function read_head(q, ...)
  local fields = call('HMGET', q, 'n', 'd', 'p', ...)
  local head = {n = tonumber(fields[1]) or 0, d = tonumber(fields[2]), p = tonumber(fields[3]), fields = {}}
  return head, fields
end

-- Takes messages out of the queue altogether; the caller says whether any of them may be in the line, or dead.
local function forget(q, ids, is_in_line, is_dead)
  for from = 1, #ids, SLICE do
    local to = math.min(from + SLICE - 1, #ids)
    call('HDEL', q, unpack(ids, from, to))
    call('ZREM', q .. ':t', unpack(ids, from, to))
    if is_in_line then
      call('ZREM', q .. ':l', unpack(ids, from, to))
    end
    if is_dead then
      call('ZREM', q .. ':x', unpack(ids, from, to))
    end
  end
end
