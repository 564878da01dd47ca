-- Pops that wait, and the workers they belong to.

-- What is to be published, for each worker.
local letters = {}

local alive = {}

-- Whether a worker still listens: it said so lately, and its subscription is there.
local function is_alive(worker)
  if alive[worker] == nil then
    local until_ms = tonumber(call('ZSCORE', 'pb:workers', worker))
    alive[worker] = until_ms ~= nil and until_ms > now
      and call('PUBSUB', 'NUMSUB', 'pb:w:' .. worker)[2] > 0
  end
  return alive[worker]
end

-- A ticket is the count of its worker's requests times this, and some more.
local TICKETS_A_WORKER = 4294967296

-- A number for a pop, by which it is known whose what is out is: the beginning of its worker's name, which is
-- hexadecimal, and what no other ticket of that worker begins with.
local function taker_of(worker, ticket)
  return tonumber(string.sub(worker, 1, 5), 16) * TICKETS_A_WORKER + math.floor(tonumber(ticket) / TICKETS_A_WORKER)
end

local function waiter_of(entry)
  local worker, ticket, count, bytes, life, kind =
    string.match(entry, '^(%S+) (%S+) (%S+) (%S+) (%S+) (%S+)$')
  return {
    worker = worker, ticket = ticket, count = tonumber(count), bytes = tonumber(bytes), life = tonumber(life),
    kind = kind, taker = taker_of(worker, ticket)
  }
end

-- The waiter whose turn it is. Those whose worker is gone lose theirs.
local function first_waiter(q)
  while true do
    local entry = call('LINDEX', q .. ':w', '0')
    if not entry then
      return nil
    end
    local waiter = waiter_of(entry)
    if is_alive(waiter.worker) then
      return waiter
    end
    call('LPOP', q .. ':w')
  end
end

-- Gives how many are left.
local function drop_gone_waiters(q)
  local waiters, living = call('LRANGE', q .. ':w', '0', '-1'), {}
  for _, entry in ipairs(waiters) do
    if is_alive(string.match(entry, '^%S+')) then
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

-- The deliveries of messages: the last of them stands for all that follow, and most have the same.
local function describe_counts(counts)
  local last = #counts
  if last == 1 then
    return counts[1]
  end
  while last > 1 and counts[last - 1] == counts[last] do
    last = last - 1
  end
  return table.concat(counts, ',', 1, last)
end

local function describe_handout(lease, bytes, counts, ids)
  return text(lease) .. ' ' .. bytes .. ' ' .. describe_counts(counts) .. ' ' .. table.concat(ids)
end

-- Answers the first waiter with messages, or with one whose payload is at hand. A letter tells how many ids are in it
-- and how long the payload is, '-' for none.
local function hand_over(q, waiter, lease, bytes, counts, ids, payload)
  call('LPOP', q .. ':w')
  local own = letters[waiter.worker] or {}
  own[#own + 1] = table.concat({waiter.ticket, #ids, payload and #payload or '-', ''}, ' ')
  own[#own + 1] = describe_handout(lease, bytes, counts, ids)
  own[#own + 1] = payload
  letters[waiter.worker] = own
end
