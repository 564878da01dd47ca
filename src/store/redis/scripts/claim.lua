-- Takes over transactions whose delay is over. Behind the time in ARGV: for how many milliseconds they are the caller's
-- to put into their queues, before somebody else may; at most how many. Gives the time, when the next is due or '-',
-- and the members of pb:delayed in the order in which they are to arrive.
local claimed = call('ZRANGEBYSCORE', 'pb:delayed', '-inf', now, 'LIMIT', 0, ARGV[3])
for _, member in ipairs(claimed) do
  call('ZADD', 'pb:delayed', now + tonumber(ARGV[2]), member)
end
local first = call('ZRANGE', 'pb:delayed', 0, 0, 'WITHSCORES')
if not first[2] then
  call('DEL', 'pb:delayed:n')
end
local reply = {string.format('%.0f', now), first[2] or '-'}
for _, member in ipairs(claimed) do
  reply[#reply + 1] = member
end
return reply
