-- sweep: the worker that asks, milliseconds after which it counts as gone unless it asks again, and how many queues to
-- look at. The key is that of no queue. Gives whether the worker had been known, the time, and when there is more to
-- do, or '-'.
function operations.sweep()
  local worker, life, queues_max = argument(), tonumber(argument()), tonumber(argument())
  local known_until = tonumber(call('ZSCORE', 'pb:workers', worker))
  call('ZADD', 'pb:workers', now + life, worker)
  call('ZREMRANGEBYSCORE', 'pb:workers', '-inf', now)
  alive[worker] = nil
  for _, q in ipairs(call('ZRANGEBYSCORE', 'pb:due', '-inf', now, 'LIMIT', 0, queues_max)) do
    tidy(q)
  end
  local first = call('ZRANGE', 'pb:due', 0, 0, 'WITHSCORES')
  local is_known = known_until and known_until > now
  local next_time = first[2] and string.format('%.0f', tonumber(first[2])) or '-'
  return table.concat({is_known and '1' or '0', string.format('%.0f', now), next_time}, ' ')
end
