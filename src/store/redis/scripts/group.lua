-- Changes a group, whose members begin with ':' so that '.' can stand for the group itself. ARGV: how many members it
-- may have, '1' to make it if need be, how many members join, these, and those that leave. Gives 'K': done; 'N': no
-- such group; 'F': it would have too many members.
local call = redis.call
local key, members_max, may_make, added = KEYS[1], tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3])
if may_make ~= '1' and call('EXISTS', key) == 0 then
  return 'N'
end
local members, size = {}, 0
for _, member in ipairs(call('SMEMBERS', key)) do
  members[member] = true
end
-- Slices of this length fit on the stack of this language.
local SLICE = 1000
local function in_slices(command, from, to)
  for at = from, to, SLICE do
    call(command, key, unpack(ARGV, at, math.min(at + SLICE - 1, to)))
  end
end

members['.'] = true
for at = 4, 3 + added do
  members[ARGV[at]] = true
end
for at = 4 + added, #ARGV do
  members[ARGV[at]] = nil
end
for _ in pairs(members) do
  size = size + 1
end
if size - 1 > members_max then
  return 'F'
end
call('SADD', key, '.')
in_slices('SADD', 4, 3 + added)
in_slices('SREM', 4 + added, #ARGV)
return 'K'
