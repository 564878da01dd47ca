-- Ends of hand-outs.

-- Takes away those messages for which `may` says so of their lease, if they have one. For each id '1'; or '0' where
-- there is no such message, or '2' where it may not be.
local function deliver(q, ids, may)
  local values, head = open_messages(q, ids)
  local flags, delivered, their_values, is_in_line, is_dead = {}, {}, {}, false, false
  for at, id in ipairs(ids) do
    local expires_at, _, _, _, _, lease = read_message(values[id])
    if is_over(expires_at) then
      flags[at] = '0'
    elseif may(lease) then
      flags[at] = '1'
      delivered[#delivered + 1] = id
      -- Named twice, it is there once.
      their_values[id], values[id] = values[id], nil
      is_in_line = is_in_line or not lease
      is_dead = is_dead or lease == DEAD
    else
      flags[at] = '2'
    end
  end
  let_go(q, head, delivered, their_values, is_in_line, is_dead)
  return table.concat(flags)
end

-- settle: lease, ids. A message whose lease has lapsed and that nobody else has yet is delivered all the same: its
-- consumer has it. One that somebody else has by now is theirs to settle; a dead one was somebody else's.
function operations.settle(q)
  local lease, ids = tonumber(argument()), split_ids(argument())
  return deliver(q, ids, function(holder) return not holder or holder == lease end)
end

-- ack: ids, whoever has them, and dead ones too: a consumer that was late has dealt with them.
function operations.ack(q)
  return deliver(q, split_ids(argument()), function() return true end)
end

-- release: why, lease, ids. 'U': nothing of them was sent; 'F': they were not sent to their end; 'L': this is the lapse
-- of their lease. For each '1' if it was still out by that lease, and is no more; else '0'.
function operations.release(q)
  local reason, lease, ids = argument(), tonumber(argument()), split_ids(argument())
  local values, head = open_messages(q, ids)
  local flags, released, dying, is_done = {}, {}, {}, {}
  for at, id in ipairs(ids) do
    local _, _, _, deliveries, _, holder = read_message(values[id])
    flags[at] = '0'
    -- Named twice, it is out once.
    if holder == lease and not is_done[id] then
      local list = reason == 'L' and dies_at_lapse(lease, deliveries) and dying or released
      list[#list + 1] = id
      flags[at] = '1'
      is_done[id] = true
    end
  end
  die(q, head, dying, values)
  put_back(q, head, released, values, reason == 'U' and 1 or 0)
  -- All of them are back before anybody is served, so the next taker gets them in order.
  serve(q, head)
  return table.concat(flags)
end
