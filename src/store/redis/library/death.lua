-- Dead letters: messages that were handed out too often without an ack, and are kept out of the line.

-- What has died in this call, for who made it: of each queue its key without what is the same in all, and how many;
-- then how often they had been handed out, and their ids.
local deaths

-- How often each of some messages was handed out: the last number stands for all that follow, and most are the same.
local function describe_counts(counts)
  local last = #counts
  while last > 1 and counts[last - 1] == counts[last] do
    last = last - 1
  end
  return table.concat(counts, ',', 1, last)
end

local function bury(id, expires_at, bytes, flags, place, deliveries)
  put(id, pack(OUT, expires_at, bytes, flags, place, deliveries, DEAD, 0))
end

-- Messages that are out become dead letters, in the order in which they were in the line.
local function die(ids, values)
  if #ids == 0 then
    return
  end
  local counts = {}
  in_slices(ids, function(slice)
    local places, times = {}, {}
    for _, id in ipairs(slice) do
      local expires_at, bytes, flags, place, deliveries = read_message(values[id])
      bury(id, expires_at, bytes, flags, place, deliveries)
      places[#places + 1] = text(place)
      places[#places + 1] = id
      times[#times + 1] = text(expires_at * 1000)
      times[#times + 1] = id
      counts[#counts + 1] = deliveries
    end
    call('ZADD', q .. ':x', unpack(places))
    call('ZADD', q .. ':t', unpack(times))
  end)
  deaths[#deaths + 1] = table.concat({string.match(q, '{(.*)}'), #ids, describe_counts(counts), ''}, ' ')
  deaths[#deaths + 1] = table.concat(ids)
end
