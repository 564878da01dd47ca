-- Notes what became of a push whose key was claimed. Behind the time in ARGV, for each key: the id of the push, the time
-- of the claim, and 'D': it is done; 'U': it is not done, and whoever repeats it may go on with it; 'N': nothing of it is
-- there, the key is free. Gives '1', or '0' where the key is not that push's, or the push is somebody else's by now.
local function note(key, id, claimed, outcome)
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

return each(3, note)
