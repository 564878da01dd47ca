-- What every operation on a queue stands on.
--
-- The keys of a queue, of which `q` is the first:
--   q       hash   n: numbers given so far; p: second of the last pop; d: when to look at the queue, as in pb:due;
--                  and for each message its id: end of life, bytes of payload, place in the line, how often it was
--                  handed out, whether something of it stays and, while it is out of the line, its lease and its taker;
--                  or what stays of it
--   q:l     zset   the line: ids by place; the smaller, the nearer to the head
--   q:x     zset   dead letters: ids by their places in the line
--   q:t     zset   ids by the time something happens to them: a lease lapses or a life ends
--   q:w     list   pops that wait, the longest waiting first
--
-- ARGV[2] is how long the last pop of a queue is remembered, in milliseconds; ARGV[3] how many queues may be known at
-- once for nothing but their last pop; ARGV[4] after how many deliveries a message dies unless it is acked, 0 for never.
-- What follows is for the operations, each of which takes its own arguments.

local retention, queues_max, deliveries_max = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])

-- The places of low priority begin here, behind all of high priority.
local LOW = 4503599627370496

-- A lease is the time of its end times this, plus a number, plus 1 if it is a reliable one: so it tells what it is, and
-- no two of a message are the same.
local LEASES_A_MILLISECOND = 1024

-- A queue on which pops wait is looked at so often, in case whoever waited is gone.
local LOOK_MS = 20000

-- Messages that one command takes: the stack of this language is small.
local SLICE = 100

-- Messages whose time has come that are handled in one go; more follow in the next.
local DUE_AT_ONCE = 1000

local ID_LENGTH = 36

local IN_LINE = '>I4I4dI2B'
local IN_LINE_LENGTH = 19
local OUT = '>I4I4dI2Bdd'

-- What stays of a message that is not to come again though it may be pushed again: until its life is over.
local GONE = 'G'

-- What has been handed out more often is counted no further.
local DELIVERIES_COUNTED_MAX = 65535

-- The lease of a dead letter, which no hand-out has.
local DEAD = -2

local next_argument = 5

local function argument()
  local value = ARGV[next_argument]
  next_argument = next_argument + 1
  return value
end

local function split_ids(joined)
  local ids = {}
  for at = 1, #joined, ID_LENGTH do
    ids[#ids + 1] = string.sub(joined, at, at + ID_LENGTH - 1)
  end
  return ids
end

-- A whole number as text. Numbers become text anyway where a command is called, but several times as slowly.
local function text(whole_number)
  return string.format('%d', whole_number)
end

-- Calls `handle` with slices of a list.
local function in_slices(list, handle)
  for from = 1, #list, SLICE do
    handle({unpack(list, from, math.min(from + SLICE - 1, #list))})
  end
end

-- End of life, bytes, place, deliveries, 1 if something of it is to stay, and if it is not in the line its lease and its
-- taker, of a message.
local function read_message(value)
  if not value or value == GONE then
    -- Where it is in the line nevertheless, that is not our doing: it is over.
    return 0, 0, 0, 0, 0
  elseif #value > IN_LINE_LENGTH then
    local expires_at, bytes, place, deliveries, stays, lease, taker = struct.unpack(OUT, value)
    return expires_at, bytes, place, deliveries, stays, lease, taker
  end
  local expires_at, bytes, place, deliveries, stays = struct.unpack(IN_LINE, value)
  return expires_at, bytes, place, deliveries, stays
end

local function ends_at(lease)
  return math.floor(lease / LEASES_A_MILLISECOND)
end

-- Whether a message dies when its lease lapses: it was out to be acked, and has been so too often.
local function dies_at_lapse(lease, deliveries)
  return lease % 2 == 1 and deliveries_max > 0 and deliveries >= deliveries_max
end

local function is_over(expires_at)
  return expires_at * 1000 <= now
end

-- The operations, by name.
local operations = {}
