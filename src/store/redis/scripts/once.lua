local time = string.format('%.0f', now)

-- Claims keys by which repeats of pushes are known. Behind the time in ARGV, for each key: an id for the push, the
-- fingerprint of what it says, milliseconds for which the key is remembered, and those after which somebody else may go
-- on with a push that was begun. Gives for each a letter, the id of the push, and where that is the caller's now the time
-- of the claim: 'N', it is new and begun by this; 'D', it is done; 'B', it was begun, and whoever did so has given up or
-- is silent; 'W', somebody is at it; or 'O' alone, it says something else.
local function claim(key, id, fingerprint, life, patience)
  local known_until, known_id, known_fingerprint, begun = unpack(call('HMGET', key, 'u', 'i', 'f', 'b'))
  if not known_until or tonumber(known_until) <= now then
    local until_ms = string.format('%.0f', now + tonumber(life))
    if known_until then
      -- Not without need: a server without memory refuses a script's writes only until it has done one that needs none.
      call('DEL', key)
    end
    call('HSET', key, 'u', until_ms, 'i', id, 'f', fingerprint, 'b', time)
    call('PEXPIREAT', key, until_ms)
    return 'N' .. id .. time
  elseif known_fingerprint ~= fingerprint then
    return 'O'
  elseif not begun then
    return 'D' .. known_id
  elseif tonumber(begun) + tonumber(patience) > now then
    return 'W' .. known_id
  end
  call('HSET', key, 'b', time)
  return 'B' .. known_id .. time
end

return each(4, claim)
