-- Ends of hand-outs.

-- Takes away those messages for which `may` says so of their lease, if they are out by one. For each id '1'; or '0'
-- where there is no such message, or '2' where it may not be.
local function deliver(q, ids, may)
  local values, flags, delivered, is_in_line = open_messages(q, ids), {}, {}, false
  for at, id in ipairs(ids) do
    local expires_at, _, _, lease = read_message(values[id])
    if is_over(expires_at) then
      flags[at] = '0'
    elseif may(lease) then
      flags[at] = '1'
      delivered[#delivered + 1] = id
      values[id] = nil
      is_in_line = is_in_line or not lease
    else
      flags[at] = '2'
    end
  end
  forget(q, delivered, is_in_line)
  return table.concat(flags)
end

-- settle: lease, ids. A message whose lease has lapsed and that nobody else has yet is delivered all the same: its
-- consumer has it. One that somebody else has by now is theirs to settle.
function operations.settle(q)
  local lease, ids = tonumber(argument()), split_ids(argument())
  return deliver(q, ids, function(holder) return not holder or holder == lease end)
end

-- ack: ids, whoever has them.
function operations.ack(q)
  return deliver(q, split_ids(argument()), function() return true end)
end

-- release: lease, ids. Those that are still out by that lease are in the line again; gives '1' or '0' for each.
function operations.release(q)
  local lease, ids = tonumber(argument()), split_ids(argument())
  local values, head = open_messages(q, ids)
  local flags, released, is_back = {}, {}, {}
  for at, id in ipairs(ids) do
    local _, _, _, holder = read_message(values[id])
    -- Named twice, it is out once.
    local is_out = holder == lease and not is_back[id]
    flags[at] = is_out and '1' or '0'
    if is_out then
      released[#released + 1] = id
      is_back[id] = true
    end
  end
  put_back(q, head, released, values)
  -- All of them are back before anybody is served, so the next taker gets them in order.
  serve(q, head)
  return table.concat(flags)
end
