-- Pops that wait, and the workers they belong to.

-- What a pop asks for: most messages, most bytes, milliseconds of the lease, its kind.
local TERMS = '>I4ddc1'

-- Who waits: its worker's name, its ticket, a number for the pop by which it is known whose what is out is, and what it
-- asks for.
local WAITER = '>c32c8dI4ddc1'

-- A hand-out: the lease, how many messages follow. And each message, in front of its id: how often it was handed out,
-- bytes of its payload.
local HANDOUT, HANDED = '>dI4', '>I2I4'

-- A hand-over: whose ticket it is for, and the length of the payload behind the hand-out, or NO_PAYLOAD.
local HAND_OVER = '>c8I4'
local NO_PAYLOAD = 4294967295

-- What is to be published for each worker, and what was handed over by it: queue, lease and ids.
local letters, handed_over

-- Workers that have said when they are there until, and until when that is believed.
local known_workers, known_count = {}, 0
local BELIEVED_MS = 1000
local KNOWN_WORKERS_MAX = 1000

-- Whether a worker has said lately that it is there. Whether it still listens shows when something is published to it.
local function seems_alive(worker)
  local known = known_workers[worker]
  if not known or known.is_there_until <= now or now < known.asked_at or now >= known.asked_at + BELIEVED_MS then
    if not known then
      if known_count >= KNOWN_WORKERS_MAX then
        known_workers, known_count = {}, 0
      end
      known_count = known_count + 1
    end
    known = {asked_at = now, is_there_until = tonumber(call('ZSCORE', 'pb:workers', worker)) or 0}
    known_workers[worker] = known
  end
  return known.is_there_until > now
end

-- What is believed of a worker is asked anew; of all if none is given.
local function doubt(worker)
  if not worker then
    known_workers, known_count = {}, 0
  elseif known_workers[worker] then
    known_workers[worker] = nil
    known_count = known_count - 1
  end
end

-- The same for certain.
local function is_alive(worker)
  doubt(worker)
  return seems_alive(worker) and call('PUBSUB', 'NUMSUB', 'pb:w:' .. worker)[2] > 0
end

-- The waiter whose turn it is: as it is written down, its worker's name, and the rest of it. Those whose worker is gone
-- lose their turn.
local function first_waiter(is_there)
  while true do
    local entry = call('LINDEX', q .. ':w', '0')
    if not entry then
      return nil
    end
    local worker, ticket, taker, count, bytes, life, kind = unpack_value(WAITER, entry)
    if is_there(worker) then
      return worker, ticket, taker, count, bytes, life, kind
    end
    call('LPOP', q .. ':w')
  end
end

-- Gives how many are left.
local function drop_gone_waiters()
  local waiters, living, known = call('LRANGE', q .. ':w', '0', '-1'), {}, {}
  for _, entry in ipairs(waiters) do
    local worker = string.sub(entry, 1, 32)
    if known[worker] == nil then
      known[worker] = is_alive(worker)
    end
    if known[worker] then
      living[#living + 1] = entry
    end
  end
  if #living < #waiters then
    -- Anew, since to look for each of many in the list takes too long.
    call('DEL', q .. ':w')
    in_slices(living, function(slice) call('RPUSH', q .. ':w', unpack(slice)) end)
  end
  return #living
end

-- Answers the first waiter with messages, and with the payload if there is one and it is at hand.
local function hand_over(worker, ticket, lease, ids, messages, payload)
  call('LPOP', q .. ':w')
  local own = letters[worker]
  if not own then
    own = {}
    letters[worker], handed_over[worker] = own, {}
  end
  local count = #own
  own[count + 1] = pack(HAND_OVER, ticket, payload and #payload or NO_PAYLOAD)
  own[count + 2] = pack(HANDOUT, lease, #ids)
  own[count + 3] = messages
  own[count + 4] = payload
  local list = handed_over[worker]
  list[#list + 1] = {q, lease, ids}
end
