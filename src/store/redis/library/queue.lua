-- What every operation on a queue stands on.
--
-- The keys of a queue, of which `q` is the first:
--   q       hash   '-': the queue's own, as in HEAD; and for each message its id: as in FRESH until it is handed out,
--                  IN_LINE if it has come back, OUT while it is out or dead; or what stays of it
--   q:h     list   ids that have not been handed out yet, of high priority, in the order they came
--   q:l     list   the same, of low priority
--   q:r     zset   ids that have come back, by place: each stands before those of its priority in the lists
--   q:x     zset   dead letters: ids by place
--   q:t     zset   ids by the time something happens to them: a lease lapses or a life ends. Of those in the lists only
--                  the ones that end before another that stands before them
--   q:w     list   pops that wait, the longest waiting first
--
-- Where a message is taken away out of the middle of a long list, its id stays there as a husk, until it comes to the head.

-- Numbers given so far; when to look at the queue, as in pb:due, or 0; second of the last pop, or 0; the latest end of
-- those in q:h and in q:l; how many husks they have; whether there may be something in q:r.
local HEAD = '>ddI4I4I4I4B'

-- End of life, bytes of payload, FLAGS; place in the line, how often it was handed out; lease, taker.
local FRESH = '>I4I4B'
local IN_LINE = '>I4I4BdI2'
local OUT = '>I4I4BdI2dd'
local FRESH_LENGTH = 9
local IN_LINE_LENGTH = 19

-- Flags: something of it stays when it is gone; it is of low priority; it is in q:t though it is fresh.
local STAYS, LOW_PRIORITY, TIMED = 1, 2, 4

-- What stays of a message that is not to come again though it may be pushed again: until its life is over.
local GONE = 'G'

-- What is known of a husk.
local HUSK = 'H'

-- The places of low priority begin here, behind all of high priority.
local LOW = 4503599627370496

-- A lease is the time of its end times this, plus a number, plus 1 if it is a reliable one: so it tells what it is, and
-- no two of a message are the same.
local LEASES_A_MILLISECOND = 1024

-- The lease of a dead letter, which no hand-out has.
local DEAD = -2

-- What has been handed out more often is counted no further.
local DELIVERIES_COUNTED_MAX = 65535

-- A queue on which pops wait is looked at so often, in case whoever waited is gone.
local LOOK_MS = 20000

-- Messages that one command takes: the stack of this language is small.
local SLICE = 100

-- Messages whose time has come that are handled in one go; more follow in the next.
local DUE_AT_ONCE = 1000

-- In lists that are no longer than this an id is looked for.
local SEARCHED_MAX = 128

local ID_LENGTH = 36

-- How long the last pop of a queue is remembered, in milliseconds; how many queues may be known at once for nothing but
-- their last pop; how many pops may wait on a queue; after how many deliveries a message dies unless it is acked, 0 for never.
local retention, queues_max, waiters_max, deliveries_max

-- The operations, by name.
local operations = {}

local function split_ids(joined)
  local ids = {}
  for at = 1, #joined, ID_LENGTH do
    ids[#ids + 1] = string.sub(joined, at, at + ID_LENGTH - 1)
  end
  return ids
end

-- Calls `handle` with slices of a list.
local function in_slices(list, handle)
  if #list <= SLICE then
    if #list > 0 then
      handle(list)
    end
    return
  end
  for from = 1, #list, SLICE do
    handle({unpack(list, from, math.min(from + SLICE - 1, #list))})
  end
end

-- End of life, bytes, flags, and if it has been handed out its place and deliveries, and if it is not in the line its
-- lease and its taker, of a message.
local function read_message(value)
  if not value or value == GONE or value == HUSK then
    return 0, 0, 0
  elseif #value == FRESH_LENGTH then
    local expires_at, bytes, flags = unpack_value(FRESH, value)
    return expires_at, bytes, flags
  elseif #value == IN_LINE_LENGTH then
    local expires_at, bytes, flags, place, deliveries = unpack_value(IN_LINE, value)
    return expires_at, bytes, flags, place, deliveries
  end
  local expires_at, bytes, flags, place, deliveries, lease, taker = unpack_value(OUT, value)
  return expires_at, bytes, flags, place, deliveries, lease, taker
end

local function is_fresh(value)
  return value and #value == FRESH_LENGTH
end

local function stays(flags)
  return flags % 2 == 1
end

local function is_low(flags)
  return flags % 4 >= LOW_PRIORITY
end

local function is_timed(flags)
  return flags >= TIMED
end

local function ends_at(lease)
  return (lease - lease % LEASES_A_MILLISECOND) / LEASES_A_MILLISECOND
end

-- Whether a message dies when its lease lapses: it was out to be acked, and has been so too often.
local function dies_at_lapse(lease, deliveries)
  return lease % 2 == 1 and deliveries_max > 0 and deliveries >= deliveries_max
end

local function is_over(expires_at)
  return expires_at * 1000 <= now
end
