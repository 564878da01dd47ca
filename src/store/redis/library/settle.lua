-- Ends of hand-outs.

-- Messages leave the queue for good: they are delivered, or given up. Of some it stays that they have been here.
local function part_with(ids, values)
  local leaving, staying, left, stayed = {}, {}, {}, {}
  for _, id in ipairs(ids) do
    local _, _, flags, _, _, lease = read_message(values[id])
    local list, resting = leaving, left
    if stays(flags) then
      list, resting = staying, stayed
    end
    list[#list + 1] = id
    if not lease or lease == DEAD then
      resting[#resting + 1] = id
    end
  end
  forget(leaving)
  leave_traces(staying, values)
  seal()
  detach(left, values, false)
  detach(stayed, values, true)
end

-- Takes away those messages for which `may` says so of their lease, if they have one. For each id '1'; or '0' where
-- there is no such message, or '2' where it may not be.
local function deliver(key, ids, may)
  open(key)
  local values = read_messages(ids)
  local flags, delivered, their_values = {}, {}, {}
  for at, id in ipairs(ids) do
    local expires_at, _, _, _, _, lease = read_message(values[id])
    if is_over(expires_at) then
      flags[at] = '0'
    elseif may(lease) then
      flags[at] = '1'
      delivered[#delivered + 1] = id
      -- Named twice, it is there once.
      their_values[id], values[id] = values[id], nil
    else
      flags[at] = '2'
    end
  end
  part_with(delivered, their_values)
  seal()
  return table.concat(flags)
end

-- settle: lease, ids. A message whose lease has lapsed and that nobody else has yet is delivered all the same: its
-- consumer has it. One that somebody else has by now is theirs to settle; a dead one was somebody else's.
function operations.settle(key)
  local lease, joined = tonumber(argument()), argument()
  if #joined == ID_LENGTH and ends_at(lease) > now then
    local expires_at, _, flags, _, _, holder = read_message(call('HGET', key, joined))
    if holder == lease and not stays(flags) and not is_over(expires_at) then
      -- So it is nearly always: nothing else of the queue need be known.
      call('HDEL', key, joined)
      call('ZREM', key .. ':t', joined)
      return '1'
    end
  end
  return deliver(key, split_ids(joined), function(holder) return not holder or holder == lease end)
end

-- ack: ids, whoever has them, and dead ones too: a consumer that was late has dealt with them.
function operations.ack(key)
  return deliver(key, split_ids(argument()), function() return true end)
end

-- release: why, lease, ids. 'U': nothing of them was sent; 'F': they were not sent to their end; 'L': this is the lapse
-- of their lease. For each '1' if it was still out by that lease, and is no more; else '0'.
function operations.release(key)
  local reason, lease, ids = argument(), tonumber(argument()), split_ids(argument())
  open(key)
  local values = read_messages(ids)
  local flags, released, dying, is_done = {}, {}, {}, {}
  for at, id in ipairs(ids) do
    local _, _, _, _, deliveries, holder = read_message(values[id])
    flags[at] = '0'
    -- Named twice, it is out once.
    if holder == lease and not is_done[id] then
      local list = reason == 'L' and dies_at_lapse(lease, deliveries) and dying or released
      list[#list + 1] = id
      flags[at] = '1'
      is_done[id] = true
    end
  end
  die(dying, values)
  put_back(released, values, reason == 'U' and 1 or 0)
  tell_of_return(released, values)
  -- All of them are back before anybody is served, so the next taker gets them in order.
  serve()
  return table.concat(flags)
end
