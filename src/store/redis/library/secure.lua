-- What is kept of the users of secured queues.

-- Keeps something instead of what is thought to be kept, '' for nothing. Gives 'K': done; 'N': something else is kept.
local function keep_credentials(keys, given)
  begin(given)
  local key, before, after = keys[1], argument(), argument()
  if (call('GET', key) or '') ~= before then
    return 'N'
  end
  call('SET', key, after)
  return 'K'
end
