-- What is wrong inside a server of queues: a list of texts.
local call, faults = redis.call, {}

local function claim(holds, ...)
  if not holds then
    faults[#faults + 1] = table.concat({...}, ' ')
  end
end

for _, q in ipairs(call('ZRANGE', 'pb:due', 0, -1)) do
  claim(call('EXISTS', q) == 1, q, 'is to be looked at and is not there')
end
for _, key in ipairs(call('KEYS', 'pb:q:*')) do
  local q, part = string.match(key, '^(pb:q:{.*})(.*)$')
  if part ~= '' then
    claim(call('EXISTS', q) == 1, key, 'has no queue')
  else
    local fields, husks_found, returned, dead, timed, husks_known = call('HGETALL', q), 0, 0, 0, 0, 0
    local values, in_list = {}, {}
    for at = 1, #fields, 2 do
      values[fields[at]] = fields[at + 1]
    end
    local _, due, _, high_end, low_end, husks, has_returned = struct.unpack('>ddI4I4I4I4B', values['-'] or string.rep('\0', 33))
    claim(values['-'], q, 'has nothing of its own')
    values['-'] = nil
    local first_end = math.huge
    for list, list_end in pairs({[q .. ':h'] = high_end, [q .. ':l'] = low_end}) do
      local last = 0
      for _, id in ipairs(call('LRANGE', list, 0, -1)) do
        local value = values[id]
        if not value or #value ~= 9 then
          husks_found = husks_found + 1
        else
          local expires_at, _, flags = struct.unpack('>I4I4B', value)
          claim(not in_list[id], q, id, 'is in the line twice')
          claim((flags % 4 >= 2) == (list == q .. ':l'), q, id, 'is in the wrong list')
          in_list[id] = true
          if flags < 4 then
            claim(expires_at >= last and expires_at <= list_end, q, id, 'ends before one in front of it')
            last, first_end = expires_at, math.min(first_end, expires_at * 1000)
          end
        end
      end
    end
    claim(husks == husks_found, q, 'has', husks_found, 'husks and counts', husks)
    for id, value in pairs(values) do
      if value == 'H' then
        husks_known = husks_known + 1
        claim(not call('ZSCORE', q .. ':t', id), q, id, 'is a husk and has a time')
      elseif value == 'G' then
        timed = timed + 1
        claim(not call('ZSCORE', q .. ':r', id), q, id, 'is gone and in the line')
        claim(call('ZSCORE', q .. ':t', id), q, id, 'is gone for ever')
      else
        local expires_at, _, flags = struct.unpack('>I4I4B', value)
        local time = expires_at * 1000
        if #value == 9 then
          claim(in_list[id], q, id, 'is in no list')
          claim(not call('ZSCORE', q .. ':r', id), q, id, 'is in the line twice')
          time = flags >= 4 and time
        else
          local place, deliveries = struct.unpack('>dI2', value, 10)
          local lease = #value > 19 and struct.unpack('>d', value, 20)
          if lease == -2 then
            dead = dead + 1
            claim(tonumber(call('ZSCORE', q .. ':x', id)) == place, q, id, 'is dead and not at its place')
          elseif lease then
            time = math.min(time, math.floor(lease / 1024))
            claim(deliveries > 0, q, id, 'is out for no time')
          else
            returned = returned + 1
            claim(has_returned == 1, q, id, 'has come back unseen')
            claim(tonumber(call('ZSCORE', q .. ':r', id)) == place, q, id, 'is not at its place')
          end
        end
        if time then
          timed = timed + 1
          claim(tonumber(call('ZSCORE', q .. ':t', id)) == time, q, id, 'has another time')
        else
          claim(not call('ZSCORE', q .. ':t', id), q, id, 'has a time')
        end
      end
    end
    claim(husks_known <= husks_found, q, 'knows', husks_known, 'husks of', husks_found)
    claim(call('ZCARD', q .. ':t') == timed, q, 'has times of nothing')
    claim(call('ZCARD', q .. ':r') == returned, q, 'has others that have come back')
    claim(call('ZCARD', q .. ':x') == dead, q, 'has others among its dead letters')
    local first = math.min(tonumber(call('ZRANGE', q .. ':t', 0, 0, 'WITHSCORES')[2]) or math.huge, first_end)
    claim(due > 0, q, 'is not looked at')
    claim(due == tonumber(call('ZSCORE', 'pb:due', q)), q, 'is to be looked at at another time')
    claim(due <= first, q, 'is looked at too late')
  end
end
return faults
