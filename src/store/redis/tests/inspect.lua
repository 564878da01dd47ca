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
    local fields, messages, lent, dead, gone = call('HGETALL', q), 0, 0, 0, 0
    local head = {}
    for at = 1, #fields, 2 do
      local name, value = fields[at], fields[at + 1]
      if #name ~= 36 then
        head[name] = tonumber(value)
      elseif value == 'G' then
        messages, gone = messages + 1, gone + 1
        claim(not call('ZSCORE', q .. ':l', name), q, name, 'is gone and in the line')
      else
        messages = messages + 1
        local expires_at, _, place, deliveries = struct.unpack('>I4I4dI2', value)
        local time, lease = expires_at * 1000, nil
        if #value > 19 then
          lease = struct.unpack('>d', value, 20)
          claim(deliveries > 0, q, name, 'is out for no time')
        end
        if lease == -2 then
          dead = dead + 1
          claim(tonumber(call('ZSCORE', q .. ':x', name)) == place, q, name, 'is dead and not at its place')
          claim(not call('ZSCORE', q .. ':l', name), q, name, 'is dead and in the line')
        elseif lease then
          lent = lent + 1
          time = math.min(time, math.floor(lease / 1024))
          claim(not call('ZSCORE', q .. ':l', name), q, name, 'is out and in the line')
        else
          claim(tonumber(call('ZSCORE', q .. ':l', name)) == place, q, name, 'is not at its place')
        end
        claim(tonumber(call('ZSCORE', q .. ':t', name)) == time, q, name, 'has another time')
      end
    end
    claim(call('ZCARD', q .. ':t') == messages, q, 'has times of nothing')
    claim(call('ZCARD', q .. ':l') == messages - lent - dead - gone, q, 'has others in its line')
    claim(call('ZCARD', q .. ':x') == dead, q, 'has others among its dead letters')
    local first = tonumber(call('ZRANGE', q .. ':t', 0, 0, 'WITHSCORES')[2])
    claim(head.d, q, 'is not looked at')
    claim(head.d == tonumber(call('ZSCORE', 'pb:due', q)), q, 'is to be looked at at another time')
    claim(not first or head.d and head.d <= first, q, 'is looked at too late')
  end
end
return faults
