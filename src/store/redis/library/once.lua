-- Pushes that their producers name.

-- Claims keys by which repeats of pushes are known. For each key: an id for the push, the fingerprint of what it says,
-- milliseconds for which the key is remembered, and those after which somebody else may go on with a push that was
-- begun. Gives for each a letter, the id of the push, and where that is the caller's now the time of the claim: 'N', it
-- is new and begun by this; 'D', it is done; 'B', it was begun, and whoever did so has given up or is silent; 'W',
-- somebody is at it; or 'O' alone, it says something else.
local function claim_key(key)
  local id, fingerprint, life, patience = argument(), argument(), argument(), argument()
  local known_until, known_id, known_fingerprint, begun = unpack(call('HMGET', key, 'u', 'i', 'f', 'b'))
  if not known_until or tonumber(known_until) <= now then
    local until_ms = text(now + tonumber(life))
    call('DEL', key)
    call('HSET', key, 'u', until_ms, 'i', id, 'f', fingerprint, 'b', text(now))
    call('PEXPIREAT', key, until_ms)
    return 'N' .. id .. text(now)
  elseif known_fingerprint ~= fingerprint then
    return 'O'
  elseif not begun then
    return 'D' .. known_id
  elseif tonumber(begun) + tonumber(patience) > now then
    return 'W' .. known_id
  end
  call('HSET', key, 'b', text(now))
  return 'B' .. known_id .. text(now)
end

-- Notes what became of a push whose key was claimed. For each key: the id of the push, the time of the claim, and 'D': it
-- is done; 'U': it is not done, and whoever repeats it may go on with it; 'N': nothing of it is there, the key is free.
-- Gives '1', or '0' where the key is not that push's, or the push is somebody else's by now.
local function note_outcome(key)
  local id, claimed, outcome = argument(), argument(), argument()
  local known_id, begun = unpack(call('HMGET', key, 'i', 'b'))
  if known_id ~= id or outcome ~= 'D' and begun ~= claimed then
    return '0'
  elseif outcome == 'D' then
    call('HDEL', key, 'b')
  elseif outcome == 'N' then
    call('DEL', key)
  else
    call('HSET', key, 'b', '0')
  end
  return '1'
end
