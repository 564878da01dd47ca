-- Runs operations on queues, and tells who waits of what they were handed.

-- Messages that were handed to nobody are back in their places, or handed to the next.
local function take_back(key, lease, ids)
  take_up(key)
  local values, mine = read_messages(ids), {}
  for _, id in ipairs(ids) do
    local _, _, _, _, _, holder = read_message(values[id])
    if holder == lease then
      mine[#mine + 1] = id
    end
  end
  put_back(mine, values, 1)
  serve()
end

local function publish()
  while next(letters) do
    local sent, given = letters, handed_over
    letters, handed_over = {}, {}
    for worker, own in pairs(sent) do
      -- What was done is done, whatever becomes of the letters: where that fails, leases return the messages.
      local is_sent, count = pcall(call, 'PUBLISH', 'pb:w:' .. worker, table.concat(own))
      if not is_sent or count == 0 then
        -- Nobody listens there any more.
        call('ZREM', 'pb:workers', worker)
        doubt(worker)
        for _, hand_over in ipairs(given[worker]) do
          pcall(take_back, unpack(hand_over))
        end
      end
    end
  end
end

local function operate(key)
  return operations[argument()](key)
end

-- A batch of operations, one for each key. Behind the time in the arguments are `retention`, `queues_max`,
-- `waiters_max`, `deliveries_max`, and '1' if not only deaths are told; then for each operation its name and its own.
-- Behind the replies are the news, if there are any.
local function run(keys, given)
  begin(given)
  retention, queues_max = tonumber(argument()), tonumber(argument())
  waiters_max, deliveries_max = tonumber(argument()), tonumber(argument())
  tells_all = argument() == '1'
  letters, handed_over, out_of = {}, {}, {}
  news, told_count = {}, 0
  local replies = each(keys, operate)
  publish()
  if #news > 0 then
    replies[#replies + 1] = describe_news()
  end
  return replies
end
