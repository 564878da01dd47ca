-- Runs the operations of a batch, one for each key: its name and its arguments are the next in ARGV. A reply that
-- begins with '!' is an error of that operation alone. Operations read their arguments before they do anything, so the
-- next one finds its own. Behind the replies is what has died, if anything.
local replies = {}
for at, q in ipairs(KEYS) do
  local is_done, reply = pcall(operations[argument()], q)
  if not is_done then
    reply = '!' .. (type(reply) == 'table' and reply.err or tostring(reply))
  end
  replies[at] = reply
end
for worker, own in pairs(letters) do
  call('PUBLISH', 'pb:w:' .. worker, table.concat(own))
end
if #deaths > 0 then
  replies[#replies + 1] = table.concat(deaths)
end
return replies
