-- Groups, whose members begin with ':' so that '.' can stand for the group itself.

-- Members that one command takes.
local MEMBERS_AT_ONCE = 1000

-- Changes a group: how many members it may have, '1' to make it if need be, how many members join, these, and those that
-- leave. Gives 'K': done; 'N': no such group; 'F': it would have too many members.
local function change_group(keys, given)
  begin(given)
  local key, members_max, may_make, added = keys[1], tonumber(argument()), argument(), tonumber(argument())
  if may_make ~= '1' and call('EXISTS', key) == 0 then
    return 'N'
  end
  local members, size = {}, 0
  for _, member in ipairs(call('SMEMBERS', key)) do
    members[member] = true
  end
  local function in_groups(command, from, to)
    for at = from, to, MEMBERS_AT_ONCE do
      call(command, key, unpack(given, at, math.min(at + MEMBERS_AT_ONCE - 1, to)))
    end
  end
  local first = next_argument
  members['.'] = true
  for at = first, first + added - 1 do
    members[given[at]] = true
  end
  for at = first + added, #given do
    members[given[at]] = nil
  end
  for _ in pairs(members) do
    size = size + 1
  end
  if size - 1 > members_max then
    return 'F'
  end
  call('SADD', key, '.')
  in_groups('SADD', first, first + added - 1)
  in_groups('SREM', first + added, #given)
  return 'K'
end
