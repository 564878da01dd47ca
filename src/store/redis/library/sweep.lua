-- sweep: the worker that asks, milliseconds after which it counts as gone unless it asks again, and how many queues to
-- look at. The key is that of no queue. Gives whether the worker had been known, the time, and when there is more to
-- do, or '-'.
function operations.sweep()
  local worker, life, count_max = argument(), tonumber(argument()), tonumber(argument())
  local known_until = tonumber(call('ZSCORE', 'pb:workers', worker))
  call('ZADD', 'pb:workers', text(now + life), worker)
  call('ZREMRANGEBYSCORE', 'pb:workers', '-inf', text(now))
  if not known_until then
    -- It may have been here by another name, which it has given up.
    doubt(nil)
  end
  for _, key in ipairs(call('ZRANGEBYSCORE', 'pb:due', '-inf', text(now), 'LIMIT', '0', text(count_max))) do
    if told_count >= TOLD_AT_ONCE then
      break
    end
    take_up(key)
    tidy()
  end
  local first = call('ZRANGE', 'pb:due', '0', '0', 'WITHSCORES')
  local is_known = known_until and known_until > now
  local next_time = first[2] and text(tonumber(first[2])) or '-'
  return table.concat({is_known and '1' or '0', text(now), next_time}, ' ')
end
