-- What becomes of messages that no request names, for who made the call that came across it.

-- What is told of a message: it died; it was out to be acked or dead, and is in the line again; its life is over, or it
-- was given up when it was dead.
local DIED, RETURNED, EXPIRED = 'X', 'P', 'E'

-- Messages of which a sweep tells before it leaves the rest to the next: all of that comes in one answer.
local TOLD_AT_ONCE = 100000

-- Lists of ids that are told together, each with its queue, what became of them, and of those that died how often they had
-- been handed out; how many ids there are; and whether all of it is told, or only deaths.
local news, told_count, tells_all

local function tell(what, id, deliveries)
  if not tells_all and what ~= DIED then
    return
  end
  local last = news[#news]
  if not last or last.queue ~= q or last.what ~= what then
    last = {queue = q, what = what, counts = {}}
    news[#news + 1] = last
  end
  last[#last + 1] = id
  last.counts[#last] = deliveries
  told_count = told_count + 1
end

-- A message is dropped since its life is over. What stays of one is none.
local function tell_of_end(id, value)
  if value and value ~= GONE and value ~= HUSK then
    tell(EXPIRED, id)
  end
end

-- Messages that were out or dead are in the line again; clients did not see that they had left it for a delivery.
local function tell_of_return(ids, values)
  for _, id in ipairs(tells_all and ids or {}) do
    local _, _, _, _, _, lease = read_message(values[id])
    if lease == DEAD or lease % 2 == 1 then
      tell(RETURNED, id)
    end
  end
end

-- How often each of some messages was handed out: the last number stands for all that follow, and most are the same.
local function describe_counts(counts)
  local last = #counts
  while last > 1 and counts[last - 1] == counts[last] do
    last = last - 1
  end
  return table.concat(counts, ',', 1, last)
end

-- The news as they are sent: of each list the queue's key without what is the same in all, what became of its messages,
-- how many they are, how often those that died had been handed out, and their ids.
local function describe_news()
  local parts = {}
  for at, list in ipairs(news) do
    local counts = list.what == DIED and describe_counts(list.counts) .. ' ' or ''
    parts[at] = table.concat({string.match(list.queue, '{(.*)}'), list.what, #list, counts}, ' ') .. table.concat(list)
  end
  return table.concat(parts)
end
