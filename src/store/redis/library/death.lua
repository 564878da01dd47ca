-- Dead letters: messages that were handed out too often without an ack, and are kept out of the line.

local function bury(id, expires_at, bytes, flags, place, deliveries)
  put(id, pack(OUT, expires_at, bytes, flags, place, deliveries, DEAD, 0))
end

-- Messages that are out become dead letters, in the order in which they were in the line.
local function die(ids, values)
  in_slices(ids, function(slice)
    local places, times = {}, {}
    for _, id in ipairs(slice) do
      local expires_at, bytes, flags, place, deliveries = read_message(values[id])
      bury(id, expires_at, bytes, flags, place, deliveries)
      places[#places + 1] = text(place)
      places[#places + 1] = id
      times[#times + 1] = text(expires_at * 1000)
      times[#times + 1] = id
      tell(DIED, id, deliveries)
    end
    call('ZADD', q .. ':x', unpack(places))
    call('ZADD', q .. ':t', unpack(times))
  end)
end
